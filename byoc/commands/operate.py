"""`byoc logs` and `byoc scale`: running an endpoint."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from byoc import aws
from byoc.aws import Aws
from byoc.commands import terminal
from byoc.commands.options import Json, Profile, Region, WaitInterval
from byoc.deployment.state import owned_endpoint
from byoc.endpoint import container_logs, scaling
from byoc.endpoint.scaling import Scaling
from byoc.errors import ConfigurationError, NotFoundError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(logs)
    app.command()(scale)


def logs(
    endpoint: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
    minutes: Annotated[float, typer.Option("--minutes", "-m", min=0, help="How far to go back.")] = 60.0,
    interval: WaitInterval = 2.0,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Print what the endpoint's containers wrote to CloudWatch Logs, all instances together."""
    session = aws.connect(region, profile)
    start = int((time.time() - 60 * minutes) * 1000)
    if follow:
        events = container_logs.follow(session, endpoint, start, interval)
    else:
        events = container_logs.since(session, endpoint, start)
    for event in events:
        terminal.result(str(event))


def scale(
    endpoint: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    minimum: Annotated[int, typer.Option("--min", min=0, help="Least number of instances.")] = 1,
    maximum: Annotated[int | None, typer.Option("--max", min=1, help="Greatest number of instances.")] = None,
    invocations: Annotated[
        float | None, typer.Option("--invocations", min=1, help="Aim: requests per instance and minute.")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="Default: all of the endpoint's.")] = None,
    scale_in_cooldown: Annotated[
        int | None, typer.Option(min=0, help="Pause after instances were removed.", metavar="SECONDS")
    ] = None,
    scale_out_cooldown: Annotated[
        int | None, typer.Option(min=0, help="Pause after instances were added.", metavar="SECONDS")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Stop scaling; the instances that there are stay.")] = False,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Let the number of instances follow the load, between --min and --max; --off stops that."""
    if not off and (maximum is None or invocations is None or minimum > maximum):
        raise typer.BadParameter("scaling needs --max (not below --min) and --invocations; or --off")
    session = aws.connect(region, profile)
    variants = _variants(session, endpoint, variant)
    if maximum is None or off:
        for name in scaling.current(session, endpoint, variants):
            scaling.unscale(session, endpoint, name)
    else:
        for name in variants:
            wanted = Scaling(name, minimum, maximum, invocations, scale_in_cooldown, scale_out_cooldown)
            scaling.scale(session, endpoint, wanted)
    now = scaling.current(session, endpoint, variants)
    if as_json:
        terminal.print_json([one.summary() for one in now.values()])
        return
    for name in variants:
        terminal.result(f"{name}: {now.get(name) or 'not scaled'}")


def _variants(session: Aws, endpoint: str, variant: str | None) -> list[str]:
    """The names of the variants to scale."""
    described, _ = owned_endpoint(session, endpoint)
    if described is None:
        raise NotFoundError(f"There is no endpoint {endpoint!r} in {session.region}", "`--region` asks another one.")
    names = [one["VariantName"] for one in described.get("ProductionVariants", [])]
    if variant is not None and variant not in names:
        raise ConfigurationError(f"--variant: {endpoint} has no variant {variant!r}", f"It has: {', '.join(names)}")
    return [variant] if variant is not None else names
