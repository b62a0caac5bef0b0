"""`byoc logs`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from byoc import aws
from byoc.commands import terminal
from byoc.commands.options import Endpoint, Profile, Region, WaitInterval
from byoc.endpoint import container_logs

__all__ = ["logs"]


def logs(
    endpoint: Endpoint,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new lines until interrupted.")] = False,
    minutes: Annotated[
        float, typer.Option("--minutes", "-m", min=0, help="How far to go back.", metavar="MINUTES")
    ] = 60.0,
    interval: WaitInterval = 2.0,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Print the logs of all of the endpoint's containers, from CloudWatch Logs."""
    session = aws.connect(region, profile)
    start = int((time.time() - 60 * minutes) * 1000)
    if follow:
        events = container_logs.follow(session, endpoint, start, interval)
    else:
        events = container_logs.since(session, endpoint, start)
    for event in events:
        terminal.result(str(event))
