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

Set them in the `Environment` of the SageMaker model, with `docker run --env`, or in a shell. An empty variable counts
as not set. If a value isn't accepted, `serve` exits with status 2 and one line that names the variable, the value and
what is accepted. Only `SAGEMAKER_TRITON_ADDITIONAL_ARGS` is split into words. A variable that has no effect, such as
the default model of a multi-model endpoint, is a warning in the log.

The last column says *ours* if the stock `sagemaker-tritonserver` image doesn't have the variable, and *stock* if that
image treats it differently. `serve --print-plan` prints what would be started.

| Variable | Values | Default | Meaning | Note |
|---|---|---|---|---|
"""

TAIL = """
## Threads

By default a numerical library starts one thread per processor in every process, so eight processes of a Python model
compete with eight times as many threads as there are processors. `serve` therefore sets `OMP_NUM_THREADS` for
tritonserver and the processes of its models, unless the container sets it:

- on a single-model endpoint, to the number of processors that the container may use (its CPU affinity or its quota)
  divided by the number of processes of all loaded models, at least 1;
- on a multi-model endpoint, to 1, because the number of tenants isn't known.

OpenBLAS, MKL and PyTorch follow it unless their own variables (`OPENBLAS_NUM_THREADS`, `MKL_NUM_THREADS`) are set. The
stand-in backends of the CPU image divide the processors among the instances of each model themselves, see
[models.md](models.md#stand-in-backends). An endpoint with one heavy model and little traffic may need more:
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
