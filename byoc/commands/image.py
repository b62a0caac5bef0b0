"""`byoc build` and `byoc push`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from byoc import aws
from byoc.commands import terminal
from byoc.commands.options import Json, Profile, Region
from byoc.errors import ConfigurationError
from byoc.image import base_images, builder, registry

__all__ = ["register"]

DEFAULT_TAG = "triton-byoc:latest"
MEGABYTE = 1_000_000


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(build)
    app.command()(push)


def build(
    tag: Annotated[str, typer.Option("--tag", "-t", help="Name of the image.", metavar="NAME:TAG")] = DEFAULT_TAG,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="IMAGE",
            help="Image to build on. Default: the region's newest sagemaker-tritonserver, pulled with your AWS login.",
        ),
    ] = None,
    cpu: Annotated[
        bool, typer.Option("--cpu", help="Build on a CPU base image, made here: no AWS login, no GPU.")
    ] = False,
    debian: Annotated[
        str, typer.Option("--debian", help="With --cpu: the image of Debian 12 to start from.", metavar="IMAGE")
    ] = builder.DEBIAN,
    source: Annotated[
        Path, typer.Option("--source", help="Checkout of triton-byoc.", file_okay=False, exists=True)
    ] = Path(),
    stage: Annotated[
        Path | None,
        typer.Option("--stage", metavar="DIR", help="Only write the build context, for a `docker build` of your own."),
    ] = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Build the container image.

    Prints what it adds to its base image. `make models` builds the models that go into it.
    """
    chosen = _base(base, cpu, source, debian, region, profile)
    if stage is not None:
        builder.stage(source, chosen, stage, profile)
        terminal.result(f"docker build --build-arg BASE_IMAGE={chosen} --tag {tag} {stage}")
        return
    started = time.monotonic()
    built = builder.build(source, chosen, tag, profile=profile)
    terminal.note(f"Staged and built in {time.monotonic() - started:.1f} s")
    if as_json:
        terminal.print_json(built.summary())
        return
    for layer in built.added:
        terminal.note(f"{layer.size / MEGABYTE:9.1f} MB  {layer.instruction[:100]}")
    terminal.result(_sizes(built))


def _sizes(built: builder.BuiltImage) -> str:
    """What the image adds to its base, with its models and without: the one that there is a limit to."""
    models, rest = built.models_size / MEGABYTE, (built.added_size - built.models_size) / MEGABYTE
    return (
        f"{built.tag}  {built.id}  adds {models + rest:.1f} MB to {built.base}: models {models:.1f} MB, "
        f"the rest {rest:.1f} MB (limit: {builder.SIZE_LIMIT / MEGABYTE:.0f} MB)"
    )


def _base(base: str | None, cpu: bool, source: Path, debian: str, region: str | None, profile: str | None) -> str:
    """The base image that the options name; the CPU one is built if need be."""
    if cpu and base:
        raise ConfigurationError(f"--base {base}: --cpu names a base image too", "Give one of the two.")
    if cpu:
        return builder.build_cpu_base(source, debian)
    return base or base_images.base_image(aws.connect(region, profile).region).uri


def push(
    local: Annotated[str, typer.Argument(help="The image to push.", metavar="IMAGE")] = DEFAULT_TAG,
    repository: Annotated[
        str, typer.Option("--repository", help="Name of the repository.", metavar="NAME")
    ] = "triton-byoc",
    tag: Annotated[
        str | None, typer.Option("--tag", help="Tag in the registry. Default: the local image's.", metavar="TAG")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--registry",
            metavar="HOST[:PORT]",
            help="Another registry than Amazon ECR, logged in to by `docker login`.",
        ),
    ] = None,
    immutable: Annotated[
        bool, typer.Option("--immutable", help="Let no tag of the repository be moved to another image (ECR).")
    ] = False,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Push the image to Amazon ECR, into a repository that is created when it is missing.

    Prints its name with the digest, for `image:` in endpoint.yaml.
    """
    wanted = tag or _tag_of(local)
    if host:
        if immutable:
            raise ConfigurationError(f"--immutable: {host} is not Amazon ECR", "Set it in the registry itself.")
        pushed = registry.push(local, f"{host}/{repository}", wanted)
    else:
        pushed = registry.push_to_ecr(aws.connect(region, profile), local, repository, wanted, immutable)
    if as_json:
        terminal.print_json({"reference": pushed.reference, "digest": pushed.digest, "uri": pushed.uri})
        return
    terminal.result(pushed.uri)


def _tag_of(reference: str) -> str:
    """The tag in an image's name: `latest` if it has none, as Docker has it."""
    last = reference.rpartition("/")[2].partition("@")[0]
    return last.partition(":")[2] or "latest"
