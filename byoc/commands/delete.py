"""`byoc delete`."""

from __future__ import annotations

from typing import Annotated

import typer

from byoc import aws
from byoc.commands import terminal
from byoc.commands.options import Endpoint, Profile, Region, Timeout, WaitInterval
from byoc.commands.steps import show_steps
from byoc.deployment import delete as deletion
from byoc.deployment.wait import WaitPolicy
from byoc.errors import NotFoundError

__all__ = ["delete"]


def delete(
    endpoint: Endpoint,
    upload_to: Annotated[
        str | None,
        typer.Option(
            help="s3:// prefix that models were uploaded to. Needed only if nothing else of the deployment is left.",
            metavar="S3_URI",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    timeout: Timeout = WaitPolicy.timeout,
    interval: WaitInterval = WaitPolicy.interval,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Delete an endpoint, and everything else that `byoc deploy` created for it.

    Lists what will be deleted, and asks for confirmation. Images, roles, buckets and logs are kept.
    """
    session = aws.connect(region, profile)
    planned = deletion.plan_deletion(session, endpoint, upload_to)
    if not planned.steps():
        remedy = "Nothing was deleted. Check the name and --region."
        raise NotFoundError(f"There is no deployment {endpoint!r} in {session.region}", remedy)
    show_steps(planned.steps())
    if not yes:
        typer.confirm("Delete all of this?", abort=True, err=True)
    deletion.delete(session, planned, WaitPolicy(interval, timeout), progress=terminal.PROGRESS)
    terminal.result(f"Deleted {endpoint}.")
