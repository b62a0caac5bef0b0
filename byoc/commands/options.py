"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Json", "Profile", "Region", "Timeout", "WaitInterval"]

Region = Annotated[
    str | None,
    typer.Option(
        "--region", help="AWS region. Default: for deploy the file's; AWS_REGION; the profile's.", metavar="REGION"
    ),
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", help="Profile of ~/.aws/config to take credentials and region from.", metavar="NAME"),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for scripts.")]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0, help="How long to wait at most.", metavar="SECONDS", show_default=True)
]
WaitInterval = Annotated[
    float, typer.Option("--interval", min=0.01, help="How often to ask AWS meanwhile.", metavar="SECONDS")
]
