"""`byoc scale`."""

from __future__ import annotations

from typing import Annotated

import typer

from byoc import aws
from byoc.aws import Aws
from byoc.commands import terminal
from byoc.commands.options import Endpoint, Json, Profile, Region
from byoc.deployment.state import owned_endpoint
from byoc.endpoint import scaling
from byoc.endpoint.description import variant_names
from byoc.endpoint.scaling import Scaling
from byoc.errors import ConfigurationError, NotFoundError

__all__ = ["scale"]


def scale(
    endpoint: Endpoint,
    minimum: Annotated[int, typer.Option("--min", min=0, help="Minimum instances.", metavar="N")] = 1,
    maximum: Annotated[int | None, typer.Option("--max", min=1, help="Maximum instances.", metavar="N")] = None,
    invocations: Annotated[
        float | None,
        typer.Option("--invocations", min=1, help="Target requests per instance per minute.", metavar="N"),
    ] = None,
    variant: Annotated[
        str | None, typer.Option(help="Variant to scale. Default: all variants.", metavar="NAME")
    ] = None,
    scale_in_cooldown: Annotated[
        int | None, typer.Option(min=0, help="Minimum time between removing instances.", metavar="SECONDS")
    ] = None,
    scale_out_cooldown: Annotated[
        int | None, typer.Option(min=0, help="Minimum time between adding instances.", metavar="SECONDS")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Stop scaling. The current instances are kept.")] = False,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Scale the number of instances with the load, between --min and --max; or stop scaling with --off."""
    if not off and (maximum is None or invocations is None or minimum > maximum):
        raise typer.BadParameter("pass --max (not below --min) and --invocations, or --off")
    session = aws.connect(region, profile)
    variants = _variants(session, endpoint, variant)
    if maximum is None or off:
        for name in scaling.current(session, endpoint, variants):
            scaling.unscale(session, endpoint, name)
    else:
        for name in variants:
            wanted = Scaling(name, minimum, maximum, invocations, scale_in_cooldown, scale_out_cooldown)
            scaling.scale(session, endpoint, wanted)
    _show(scaling.current(session, endpoint, variants), variants, as_json)


def _variants(session: Aws, endpoint: str, variant: str | None) -> list[str]:
    """The names of the variants to scale."""
    described, _ = owned_endpoint(session, endpoint)
    if described is None:
        raise NotFoundError(f"There is no endpoint {endpoint!r} in {session.region}", "Check the name and --region.")
    names = variant_names(described)
    if variant is not None and variant not in names:
        raise ConfigurationError(f"--variant: {endpoint} has no variant {variant!r}", f"It has: {', '.join(names)}")
    return [variant] if variant is not None else names


def _show(scaled: dict[str, Scaling], variants: list[str], as_json: bool) -> None:
    if as_json:
        terminal.print_json([one.summary() for one in scaled.values()])
        return
    for name in variants:
        terminal.result(f"{name}: {scaled.get(name) or 'not scaled'}")
