"""`byoc pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from byoc import archive
from byoc.commands import terminal
from byoc.commands.options import Json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(pack)


def pack(
    directory: Annotated[
        Path, typer.Argument(help="A model, or a repository of models.", file_okay=False, exists=True)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Archive to write; with --multi-model, the directory for the archives."),
    ] = None,
    default_model: Annotated[
        str | None, typer.Option("--default-model", help="The model that /invocations goes to, if there are several.")
    ] = None,
    multi_model: Annotated[
        bool, typer.Option("--multi-model", help="Write one archive for each sub-directory.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Pack a model directory into the model.tar.gz that SageMaker takes.

    The same directory always gives the same archive, and what the container would refuse to load is refused here.
    """
    if multi_model:
        packed = archive.pack_tenants(directory, output or Path("models"))
    else:
        packed = (archive.pack(directory, output or Path("model.tar.gz"), default_model),)
    if as_json:
        terminal.print_json([one.summary() for one in packed])
        return
    for one in packed:
        terminal.result(f"{one.path}  {one.size:,} bytes  sha256:{one.digest}  {', '.join(one.models)}")
