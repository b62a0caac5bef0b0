"""`byoc push`."""

from __future__ import annotations

from typing import Annotated

import typer

from byoc import aws
from byoc.commands import terminal
from byoc.commands.build import DEFAULT_TAG
from byoc.commands.options import Json, Profile, Region
from byoc.errors import ConfigurationError
from byoc.image import registry

__all__ = ["push"]


def push(
    local: Annotated[str, typer.Argument(help="The local image to push.", metavar="IMAGE")] = DEFAULT_TAG,
    repository: Annotated[
        str, typer.Option("--repository", help="Name of the repository.", metavar="NAME")
    ] = "triton-byoc",
    tag: Annotated[
        str | None, typer.Option("--tag", help="Tag in the registry. Default: the local image's tag.", metavar="TAG")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--registry",
            metavar="HOST[:PORT]",
            help="Push to this registry instead of Amazon ECR, with the credentials stored by `docker login`.",
        ),
    ] = None,
    immutable: Annotated[
        bool, typer.Option("--immutable", help="Make the tags of the ECR repository immutable.")
    ] = False,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Push the image to Amazon ECR, creating the repository if it does not exist.

    Prints the image's name with its digest, for `image` in endpoint.yaml.
    """
    wanted = tag or _tag_of(local)
    if host:
        if immutable:
            raise ConfigurationError(f"--immutable: {host} is not Amazon ECR", "Set it in the registry itself.")
        pushed = registry.push(local, f"{host}/{repository}", wanted, progress=terminal.PROGRESS)
    else:
        session = aws.connect(region, profile)
        pushed = registry.push_to_ecr(
            session, local, repository, wanted, immutable=immutable, progress=terminal.PROGRESS
        )
    if as_json:
        terminal.print_json({"reference": pushed.reference, "digest": pushed.digest, "uri": pushed.uri})
        return
    terminal.result(pushed.uri)


def _tag_of(reference: str) -> str:
    """The tag in an image's name; Docker's default is `latest`."""
    last = reference.rpartition("/")[2].partition("@")[0]
    return last.partition(":")[2] or "latest"
