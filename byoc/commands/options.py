"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Endpoint", "Json", "Profile", "Region", "Timeout", "WaitInterval"]

Endpoint = Annotated[str, typer.Argument(help="Name of the endpoint.", metavar="ENDPOINT")]
Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        help="AWS region. Default: the region in endpoint.yaml (`deploy` only), AWS_REGION, or the profile's region.",
        metavar="REGION",
    ),
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", help="Profile in ~/.aws/config with credentials and a region.", metavar="NAME"),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0, help="Maximum time to wait.", metavar="SECONDS")]
WaitInterval = Annotated[float, typer.Option("--interval", min=0.01, help="Time between polls.", metavar="SECONDS")]
