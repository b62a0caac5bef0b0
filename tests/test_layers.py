"""Imports point down, there is no circle, and no file is long; and the checker that says so finds what breaks this."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import layers
from tests.layers import RULES, Rules
from tests.triton import ROOT

SMALL = Rules({"": ("tool", "server"), "server": ("top", "middle", "leaf")}, {("tool", "server"): ("leaf",)}, lines=3)
SOUND = {
    "server/__init__.py": "",
    "server/top.py": "import json\nfrom server.middle import plan\nfrom server import leaf",
    "server/middle/__init__.py": "",
    "server/middle/plan.py": "import server.leaf",
    "server/leaf.py": "",
    "tool/main.py": "from server.leaf import name",
}


def test_imports_point_down() -> None:
    assert layers.violations(ROOT) == []


def test_imports_make_no_circle() -> None:
    assert layers.circles(ROOT) == []


def test_no_file_is_long() -> None:
    assert layers.long_files(ROOT) == []


def test_tests_import_no_tests() -> None:
    """What two of them need has a module of its own, or is a fixture."""
    found = [each for each in layers.imports(ROOT, RULES) if each.target.rpartition(".")[2].startswith("test_")]
    assert [each.breaks("test modules are not imported") for each in found] == []


def tree(directory: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content)
    return directory


def test_a_sound_tree(tmp_path: Path) -> None:
    tree(tmp_path, SOUND)
    assert len(layers.imports(tmp_path, SMALL)) == 4
    assert layers.violations(tmp_path, SMALL) == []
    assert layers.circles(tmp_path, SMALL) == []
    assert layers.long_files(tmp_path, SMALL) == []


@pytest.mark.parametrize(
    ("file", "content", "found"),
    [
        (
            "server/leaf.py",
            "\nfrom server.middle import plan",
            "server/leaf.py:2: server.leaf imports server.middle.plan: middle is above leaf, and imports point down",
        ),
        (
            "server/middle/plan.py",
            "def late():\n    import server.top",
            "server/middle/plan.py:2: server.middle.plan imports server.top: top is above middle, and imports "
            "point down",
        ),
        (
            "server/leaf.py",
            "from tool.main import name",
            "server/leaf.py:1: server.leaf imports tool.main: tool is above server, and imports point down",
        ),
        (
            "tool/main.py",
            "from server.middle.plan import Plan",
            "tool/main.py:1: tool.main imports server.middle.plan: tool may import only leaf of server",
        ),
        ("server/attic.py", "", "server.attic: no layer: list it in tests/layers.py"),
    ],
    ids=["a room above", "within a function", "a package above", "a room that is not for it", "a room without a layer"],
)
def test_what_breaks_the_layers_is_found(tmp_path: Path, file: str, content: str, found: str) -> None:
    assert layers.violations(tree(tmp_path, SOUND | {file: content}), SMALL) == [found]


def test_a_circle_within_a_room_is_found(tmp_path: Path) -> None:
    files = {"server/middle/plan.py": "import server.middle.port", "server/middle/port.py": "import server.middle.plan"}
    [found] = layers.circles(tree(tmp_path, SOUND | files), SMALL)
    assert set(found.split(" → ")) == {"server.middle.plan", "server.middle.port"}


def test_a_long_file_is_found(tmp_path: Path) -> None:
    tree(tmp_path, SOUND | {"server/leaf.py": "\n" * 4})
    assert layers.long_files(tmp_path, SMALL) == ["server/leaf.py: 4 lines: at most 3"]
