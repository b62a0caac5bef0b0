"""The program `byoc`: assembles its commands, and turns failures into one line and an exit status."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Annotated

import typer
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from byoc import aws
from byoc.commands import deploy, image, invoke, operate, pack, terminal
from byoc.errors import ByocError

__all__ = ["assemble", "main"]


def _show_version(wanted: bool) -> None:
    if wanted:
        terminal.result(importlib.metadata.version("triton-byoc"))
        raise typer.Exit


def assemble() -> typer.Typer:
    """The command line with every command. A command group is a module with a `register(app)`."""
    app = typer.Typer(
        name="byoc",
        help="From a model directory to an Amazon SageMaker endpoint that runs Triton Inference Server.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def options(
        version: Annotated[
            bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        """From a model directory to an Amazon SageMaker endpoint that runs Triton Inference Server."""

    for group in (image, pack, deploy, invoke, operate):
        group.register(app)
    return app


def main() -> None:
    """Run the command line. Status 0: done, 1: failed (one line says why), 2: used wrongly, 130: interrupted."""
    try:
        assemble()()
    except ByocError as error:
        terminal.error(str(error))
    except (BotoCoreError, ClientError, Boto3Error) as error:
        terminal.error(str(aws.explain(error)))
    except OSError as error:  # a disk that is full, a file that may not be read
        terminal.error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    else:
        return
    sys.exit(1)


if __name__ == "__main__":
    main()
