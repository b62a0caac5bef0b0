"""`byoc pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from byoc import archive
from byoc.commands import terminal
from byoc.commands.options import Json
from serve.repository import find_models

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
    load_model: Annotated[
        list[str] | None,
        typer.Option(
            "--load-model",
            help="Another model that the endpoint loads (SAGEMAKER_TRITON_LOAD_MODELS). Repeatable.",
            metavar="NAME",
        ),
    ] = None,
    multi_model: Annotated[
        bool, typer.Option("--multi-model", help="Write one archive for each sub-directory.")
    ] = False,
    shared_models: Annotated[
        list[str] | None,
        typer.Option(
            "--shared-models",
            help="With --multi-model: a model that the image shares, or a directory of such models. Repeatable. "
            "Without it, a call to a model that is not in the archive is a warning.",
            metavar="NAME|DIRECTORY",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Pack a model directory into the model.tar.gz that SageMaker takes.

    The same directory always gives the same archive, and what the container would refuse to load is refused here.
    """
    if multi_model:
        endpoint = archive.MultiModel(_names(shared_models) if shared_models else None)
        packed = archive.pack_tenants(directory, output or Path("models"), endpoint)
    else:
        single = archive.SingleModel(default_model, tuple(load_model or ()))
        packed = (archive.pack(directory, output or Path("model.tar.gz"), single),)
    for one in packed:
        for warning in one.warnings:
            terminal.note(f"warning: {one.path}: {warning}")
    if as_json:
        terminal.print_json([one.summary() for one in packed])
        return
    for one in packed:
        terminal.result(f"{one.path}  {one.size:,} bytes  sha256:{one.digest}  {', '.join(one.models)}")


def _names(shared_models: list[str]) -> frozenset[str]:
    """The names of shared models; an argument that is a directory stands for the models in it."""
    return frozenset(
        name for given in shared_models for name in (find_models(Path(given)) if Path(given).is_dir() else (given,))
    )
