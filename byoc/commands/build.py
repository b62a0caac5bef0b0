"""`byoc build`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from byoc import aws
from byoc.commands import terminal
from byoc.commands.options import Json, Profile, Region
from byoc.errors import ConfigurationError
from byoc.image import base_images, builder
from byoc.image.built_image import SIZE_LIMIT, BuiltImage

__all__ = ["DEFAULT_TAG", "build"]

DEFAULT_TAG = "triton-byoc:latest"
MEGABYTE = 1_000_000


def build(
    tag: Annotated[str, typer.Option("--tag", "-t", help="Name of the image.", metavar="NAME:TAG")] = DEFAULT_TAG,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="IMAGE",
            help="Base image. Default: the region's newest sagemaker-tritonserver, pulled with your AWS credentials.",
        ),
    ] = None,
    cpu: Annotated[
        bool, typer.Option("--cpu", help="Build on a CPU base image that is built here: needs neither AWS nor a GPU.")
    ] = False,
    debian: Annotated[
        str, typer.Option("--debian", help="With --cpu: the Debian 12 image to start from.", metavar="IMAGE")
    ] = builder.DEBIAN,
    source: Annotated[
        Path, typer.Option("--source", help="Checkout of triton-byoc.", file_okay=False, exists=True, metavar="DIR")
    ] = Path(),
    stage: Annotated[
        Path | None,
        typer.Option("--stage", metavar="DIR", help="Only write the build context, and print the `docker build` line."),
    ] = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Build the container image, and print what it adds to its base image.

    The image includes the models of model_repository/: build them first, with `make models`.
    """
    chosen = _base(base, cpu, source, debian, region, profile)
    if stage is not None:
        builder.stage(source, chosen, stage, profile, progress=terminal.PROGRESS)
        terminal.result(f"docker build --build-arg BASE_IMAGE={chosen} --tag {tag} {stage}")
        return
    started = time.monotonic()
    built = builder.build(source, chosen, tag, profile=profile, progress=terminal.PROGRESS)
    terminal.PROGRESS.note(f"Staged and built in {time.monotonic() - started:.1f} s")
    _show(built, as_json)


def _base(base: str | None, cpu: bool, source: Path, debian: str, region: str | None, profile: str | None) -> str:
    """The base image that the options name. The CPU base is built if necessary."""
    if cpu and base:
        raise ConfigurationError(f"--base {base}: --cpu names a base image too", "Pass one of the two.")
    if cpu:
        return builder.build_cpu_base(source, debian, progress=terminal.PROGRESS)
    return base or base_images.base_image(aws.connect(region, profile).region).uri


def _show(built: BuiltImage, as_json: bool) -> None:
    if as_json:
        terminal.print_json(built.summary())
        return
    for layer in built.added:
        terminal.PROGRESS.note(f"{layer.size / MEGABYTE:9.1f} MB  {layer.instruction[:100]}")
    models, rest = built.models_size / MEGABYTE, (built.added_size - built.models_size) / MEGABYTE
    terminal.result(
        f"{built.tag}  {built.id}  adds {models + rest:.1f} MB to {built.base}: models {models:.1f} MB, "
        f"the rest {rest:.1f} MB (limit: {SIZE_LIMIT / MEGABYTE:.0f} MB)"
    )
