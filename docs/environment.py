"""Writes docs/environment.md from the table in `serve/settings.py`: `make docs`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from serve.settings import Settings, Variable, variables

__all__ = ["PAGE", "render"]

PAGE = Path(__file__).with_suffix(".md")

HEAD = """\
# Environment variables of `serve`

<!-- Written by `make docs` from serve/settings.py. Change the table there. -->

SageMaker sets them from `Environment` of a model's container, `docker run --env` and a shell do as well. An empty
variable counts as not set. A value that is not accepted stops `serve` with status 2 and one line that names the
variable, its value and what is accepted. No value is split into words, except `SAGEMAKER_TRITON_ADDITIONAL_ARGS`. One
that has no effect, such as the default model of a multi-model endpoint, is a warning in the log.

In the last column, *ours* marks a variable that the stock `sagemaker-tritonserver` image does not have, and *stock*
says where that image does something else with the same name. `serve --print-plan` shows what a set of values comes to.

| Variable | Values | Default | Meaning | Note |
|---|---|---|---|---|
"""

TAIL = """
## Threads

A numerical library takes as many threads as there are processors, in each process: eight processes of a Python model
get in each other's way with eight times as many threads as processors. So `serve` sets `OMP_NUM_THREADS` for
tritonserver and the processes of its models, unless the container sets it:

- to the processors that the container may use (those of its affinity, or of its quota), divided by the processes of
  all models that are loaded, at least 1;
- to 1 on a multi-model endpoint, since nobody knows how many tenants will come.

OpenBLAS, MKL and PyTorch go by it where their own variables (`OPENBLAS_NUM_THREADS`, `MKL_NUM_THREADS`) are not set.
The stand-in backends of the CPU image divide the processors among the instances of each model by themselves, see
[models.md](models.md#stand-in-backends). An endpoint with one heavy model and little traffic may want more:
`OMP_NUM_THREADS=4`.
"""


def render() -> str:
    """Return the page."""
    defaults = {field.name: field.default for field in fields(Settings)}
    return HEAD + "".join(_row(variable, defaults[name]) for name, variable in variables().items()) + TAIL


def _row(variable: Variable, default: Any) -> str:
    shown = variable.shown_default or _default(default)
    cells = (f"`{variable.name}`", variable.kind.accepted, shown, variable.meaning, variable.note)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _default(value: Any) -> str:
    """Return a default as one would write it into the variable."""
    if value is None or value == ():
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
