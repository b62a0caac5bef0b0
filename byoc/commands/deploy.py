"""`byoc deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from byoc import aws
from byoc.commands import terminal
from byoc.commands.init import DEFAULT_FILE
from byoc.commands.options import Json, Profile, Region, Timeout, WaitInterval
from byoc.commands.steps import plan_summary, show_plan
from byoc.deployment import deploy as deployment
from byoc.deployment.deploy import Outcome
from byoc.deployment.wait import WaitPolicy
from byoc.endpoint import endpoint_file
from byoc.errors import ConfigurationError

__all__ = ["deploy"]


def deploy(
    file: Annotated[
        Path | None,
        typer.Argument(help="Specification of the endpoint. Default: endpoint.yaml, if it exists.", metavar="FILE"),
    ] = None,
    endpoint: Annotated[str | None, typer.Option(help="Name of the endpoint.", metavar="NAME")] = None,
    model: Annotated[
        str | None, typer.Option(help="Model directory, model.tar.gz, or s3:// address.", metavar="PATH")
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="Directory or s3:// prefix of many models.", metavar="PATH")
    ] = None,
    image: Annotated[str | None, typer.Option(help="Container image in ECR.", metavar="IMAGE")] = None,
    role: Annotated[str | None, typer.Option(help="Name or ARN of the containers' IAM role.", metavar="ROLE")] = None,
    instance_type: Annotated[
        str | None, typer.Option(help="Instance type, such as ml.g5.xlarge.", metavar="TYPE")
    ] = None,
    instance_count: Annotated[int | None, typer.Option(help="Initial number of instances.", metavar="N")] = None,
    upload_to: Annotated[str | None, typer.Option(help="s3:// prefix to upload models to.", metavar="S3_URI")] = None,
    environment: Annotated[
        list[str] | None,
        typer.Option("--environment", "-e", help="Environment variable. Can be repeated.", metavar="NAME=VALUE"),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only print what would change. Changes nothing.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until the endpoint is in service.")] = True,
    timeout: Timeout = WaitPolicy.timeout,
    interval: WaitInterval = WaitPolicy.interval,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Create or update the endpoint that endpoint.yaml describes, and wait until it is in service.

    Run the same command again to continue after an interruption, or to apply changes. If nothing has changed, it does
    nothing. Options override the keys of the same name in the file.
    """
    options: dict[str, object] = {
        "endpoint": endpoint, "model": model, "models": models, "image": image, "role": role,
        "instance_type": instance_type, "instance_count": instance_count, "upload_to": upload_to,
        "environment": _pairs(environment or [], "--environment"),
    }  # fmt: skip
    spec = endpoint_file.load(_file(file, options), options)
    session = aws.connect(region or spec.region, profile)
    if plan:
        show_plan(deployment.plan_only(session, spec, progress=terminal.PROGRESS), as_json)
        return
    policy = WaitPolicy(interval, timeout)
    _show(deployment.deploy(session, spec, policy, wait=wait, progress=terminal.PROGRESS), as_json)


def _file(file: Path | None, options: dict[str, object]) -> Path | None:
    """The file to read; None if the options have to do."""
    if file is None and DEFAULT_FILE.exists():
        return DEFAULT_FILE
    if file is None and not any(options.values()):
        remedy = "Create one with `byoc init`, or see `byoc deploy --help`."
        raise ConfigurationError(f"there is no {DEFAULT_FILE} here", remedy)
    return file


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    """NAME=VALUE arguments as a dictionary."""
    wrong = next((text for text in texts if "=" not in text), None)
    if wrong is not None:
        raise typer.BadParameter(f"{wrong!r} is not NAME=VALUE", param_hint=f"'{option}'")
    return dict(text.split("=", 1) for text in texts)


def _show(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        terminal.print_json({**plan_summary(outcome.plan), "status": outcome.status})
        return
    name = outcome.plan.desired.endpoint
    unchanged = "" if outcome.plan.steps() else " (unchanged)"
    terminal.result(f"{name} is {outcome.status}{unchanged}. Try: byoc invoke {name} FILE")
