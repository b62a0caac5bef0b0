"""`byoc init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from byoc.commands import terminal
from byoc.endpoint.template import MARKER, template, template_keys
from byoc.errors import ConfigurationError

__all__ = ["DEFAULT_FILE", "init"]

DEFAULT_FILE = Path("endpoint.yaml")


def init(
    file: Annotated[Path, typer.Argument(help="The file to write.", metavar="FILE")] = DEFAULT_FILE,
) -> None:
    """Write an endpoint.yaml with comments, to start from.

    Values that you have to fill in are marked `<FILL IN>`; `byoc deploy` refuses to run while one is left.
    """
    if file.exists():
        raise ConfigurationError(f"{file} exists", "Edit it, or write another file: `byoc init FILE`.")
    file.write_text(template(), "utf-8")
    terminal.result(f"Wrote {file}. Replace {MARKER} in: {', '.join(template_keys())}. Then: byoc deploy {file} --plan")
