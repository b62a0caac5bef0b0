"""`byoc pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from byoc import archive
from byoc.commands import terminal
from byoc.commands.options import Json
from serve.repository import find_models, is_model

__all__ = ["pack"]


def pack(
    directory: Annotated[
        Path,
        typer.Argument(help="A model, or a repository of models.", file_okay=False, exists=True, metavar="DIRECTORY"),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Archive to write; with --multi-model, the directory for the archives.",
            metavar="PATH",
        ),
    ] = None,
    default_model: Annotated[
        str | None,
        typer.Option("--default-model", help="The model that /invocations runs, if there are several.", metavar="NAME"),
    ] = None,
    load_model: Annotated[
        list[str] | None,
        typer.Option(
            "--load-model",
            help="Model to load (SAGEMAKER_TRITON_LOAD_MODELS) besides the default model and the models that it calls, "
            "which are always loaded. Can be repeated.",
            metavar="NAME",
        ),
    ] = None,
    multi_model: Annotated[bool, typer.Option("--multi-model", help="Write one archive per sub-directory.")] = False,
    shared_models: Annotated[
        list[str] | None,
        typer.Option(
            "--shared-models",
            help="With --multi-model: a shared model of the image, or a directory of shared models. Can be repeated. "
            "Without it, a call to a model outside the archive is only a warning.",
            metavar="NAME|DIRECTORY",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Pack a model directory into a model.tar.gz for SageMaker.

    The same directory always gives the same archive. A model that the container would not load is not packed.
    """
    if multi_model:
        endpoint = archive.MultiModel(_names(shared_models) if shared_models else None)
        packed = archive.pack_tenants(directory, output or Path("models"), endpoint)
    else:
        single = archive.SingleModel(default_model, tuple(load_model or ()))
        packed = (archive.pack(directory, output or Path("model.tar.gz"), single),)
    for one in packed:
        for warning in one.warnings:
            terminal.PROGRESS.note(f"warning: {one.path}: {warning}")
    if as_json:
        terminal.print_json([one.summary() for one in packed])
        return
    for one in packed:
        terminal.result(f"{one.path}  {one.size:,} bytes  sha256:{one.digest}  {', '.join(one.models)}")


def _names(shared_models: list[str]) -> frozenset[str]:
    """The names of shared models. A directory of models adds every model in it."""
    return frozenset(name for given in shared_models for name in _models_of(Path(given)))


def _models_of(given: Path) -> tuple[str, ...]:
    return find_models(given) if given.is_dir() and not is_model(given) else (given.name,)
