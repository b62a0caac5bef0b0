"""`byoc status`."""

from __future__ import annotations

from byoc import aws
from byoc.commands import terminal
from byoc.commands.options import Endpoint, Json, Profile, Region
from byoc.endpoint.status import status as endpoint_status

__all__ = ["status"]


def status(endpoint: Endpoint, region: Region = None, profile: Profile = None, as_json: Json = False) -> None:
    """Show the status of an endpoint: its state and its variants with instances, weights, images, models, scaling."""
    found = endpoint_status(aws.connect(region, profile), endpoint)
    if as_json:
        terminal.print_json(found.summary())
    else:
        terminal.result(str(found))
