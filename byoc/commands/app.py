"""The command line application: the table of commands, and how its failures end."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from byoc.commands import terminal
from byoc.commands.build import build
from byoc.commands.delete import delete
from byoc.commands.deploy import deploy
from byoc.commands.init import init
from byoc.commands.invoke import invoke
from byoc.commands.logs import logs
from byoc.commands.pack import pack
from byoc.commands.push import push
from byoc.commands.scale import scale
from byoc.commands.status import status

__all__ = ["COMMANDS", "Command", "assemble"]


@dataclass(frozen=True)
class Command:
    """A command of `byoc`.

    Attributes:
        run: its function.
        example: a command line that uses it.
        failure: when it exits with status 1, besides the failures that all commands share.
    """

    run: Callable[..., None]
    example: str
    failure: str

    @property
    def epilog(self) -> str:
        """What its help ends with."""
        return f"Example: {self.example}"


COMMANDS = (
    Command(init, "byoc init endpoint.yaml", "The file exists."),
    Command(
        build,
        "byoc build --cpu --tag triton-byoc:latest",
        "No Docker engine can be reached, the base image does not contain Triton, or the build fails.",
    ),
    Command(
        push,
        "byoc push triton-byoc:latest --tag v1",
        "The image does not exist, or the registry rejects it or cannot be reached.",
    ),
    Command(
        pack,
        "byoc pack model_repository --default-model image_classification",
        "The container would not load the models, or the directory contains something that an archive cannot.",
    ),
    Command(
        deploy,
        "byoc deploy endpoint.yaml --plan",
        "endpoint.yaml has an error or is not filled in, something that it names does not exist, or the endpoint "
        "failed or was not in service in time.",
    ),
    Command(status, "byoc status my-endpoint --json", "The endpoint does not exist."),
    Command(
        invoke,
        "byoc invoke my-endpoint photograph.jpg --kserve binary --input image",
        "The endpoint does not exist, or it returned an error, or there was no response in time.",
    ),
    Command(logs, "byoc logs my-endpoint --follow", "The endpoint has no logs."),
    Command(
        scale,
        "byoc scale my-endpoint --min 1 --max 4 --invocations 600",
        "The endpoint or the variant does not exist, or `byoc deploy` did not create the endpoint.",
    ),
    Command(
        delete,
        "byoc delete my-endpoint --yes",
        "There is nothing to delete, the confirmation was declined, `byoc deploy` did not create the endpoint, or the "
        "deletion took too long.",
    ),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        terminal.result(importlib.metadata.version("triton-byoc"))
        raise typer.Exit


def assemble() -> typer.Typer:
    """The application with every command."""
    app = typer.Typer(name="byoc", no_args_is_help=True, pretty_exceptions_enable=False)

    @app.callback()
    def options(
        version: Annotated[
            bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        """Deploy a model directory to an Amazon SageMaker endpoint that runs Triton Inference Server."""

    for command in COMMANDS:
        app.command(epilog=command.epilog)(command.run)
    return app
