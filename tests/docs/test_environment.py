"""docs/environment.md says what serve/settings.py holds."""

from __future__ import annotations

from docs.environment import PAGE, render
from serve.settings import variables


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "stale: run `make docs`"


def test_every_variable_has_a_row_of_five_cells() -> None:
    rows = [line for line in render().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [variable.name for variable in variables().values()]
    assert all(row.replace("\\|", "").count("|") == 6 for row in rows)


def test_load_models_says_that_the_default_model_is_loaded_anyway() -> None:
    meaning = variables()["load_models"].meaning
    assert "besides the default model and those that it calls" in meaning
    assert "always loaded" in meaning
