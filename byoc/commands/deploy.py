"""`byoc init`, `byoc deploy`, `byoc status`, `byoc delete`: the life of an endpoint."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import Annotated, Any

import typer

from byoc import aws
from byoc.commands import terminal
from byoc.commands.options import Json, Profile, Region, Timeout, WaitInterval
from byoc.deployment import delete as deletion
from byoc.deployment import deploy as deployment
from byoc.deployment.plan import Plan, Step
from byoc.deployment.wait import Patience
from byoc.endpoint import endpoint_file
from byoc.endpoint.status import status as endpoint_status
from byoc.errors import ConfigurationError, NotFoundError

__all__ = ["register"]

DEFAULT_FILE = Path("endpoint.yaml")


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    for command in (init, deploy, status, delete):
        app.command()(command)


def init(
    file: Annotated[Path, typer.Argument(help="The file to write.")] = DEFAULT_FILE,
) -> None:
    """Write a commented endpoint.yaml to begin with."""
    if file.exists():
        raise ConfigurationError(f"{file} exists", "Edit it, or name another file.")
    template = importlib.resources.files("byoc.endpoint").joinpath("endpoint.yaml").read_text("utf-8")
    file.write_text(template, "utf-8")
    terminal.result(f"Wrote {file}. Fill in what it marks, then: byoc deploy {file} --plan")


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    """NAME=VALUE arguments as a dictionary."""
    wrong = next((text for text in texts if "=" not in text), None)
    if wrong is not None:
        raise typer.BadParameter(f"{wrong!r} is not NAME=VALUE", param_hint=f"'{option}'")
    return dict(text.split("=", 1) for text in texts)


def deploy(
    file: Annotated[
        Path | None, typer.Argument(help="What the endpoint is to be. Default: endpoint.yaml, if there is one.")
    ] = None,
    endpoint: Annotated[str | None, typer.Option(help="Name of the endpoint.")] = None,
    model: Annotated[str | None, typer.Option(help="Model directory, model.tar.gz, or its s3:// address.")] = None,
    models: Annotated[str | None, typer.Option(help="Directory or s3:// prefix of many models.")] = None,
    image: Annotated[str | None, typer.Option(help="Container image in ECR.")] = None,
    role: Annotated[str | None, typer.Option(help="Name or ARN of the endpoint's role.")] = None,
    instance_type: Annotated[str | None, typer.Option(help="Machine type, such as ml.g5.xlarge.")] = None,
    instance_count: Annotated[int | None, typer.Option(help="Number of machines.")] = None,
    upload_to: Annotated[str | None, typer.Option(help="s3:// address to upload models to.")] = None,
    environment: Annotated[
        list[str] | None, typer.Option("--environment", "-e", help="Environment variable.", metavar="NAME=VALUE")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only print what would change. Writes nothing.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until the endpoint serves.")] = True,
    timeout: Timeout = Patience.timeout,
    interval: WaitInterval = Patience.interval,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Make an endpoint what endpoint.yaml says, and wait until it serves.

    The same command again changes nothing, goes on where it was interrupted, or updates what is not as the file says.
    Options take the place of the file's keys of the same name.
    """
    options: dict[str, Any] = {
        "endpoint": endpoint, "model": model, "models": models, "image": image, "role": role,
        "instance_type": instance_type, "instance_count": instance_count, "upload_to": upload_to,
        "environment": _pairs(environment or [], "--environment"),
    }  # fmt: skip
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    if file is None and not any(options.values()):
        raise ConfigurationError(
            f"there is no {DEFAULT_FILE} here", "`byoc init` writes one; or see `byoc deploy --help`."
        )
    spec = endpoint_file.load(file, options)
    session = aws.connect(region or spec.region, profile)
    if plan:
        _show_plan(deployment.plan_only(session, spec), as_json)
        return
    outcome = deployment.deploy(session, spec, Patience(interval, timeout), wait=wait)
    if as_json:
        terminal.print_json({**_plan_summary(outcome.plan), "status": outcome.status})
        return
    changed = "" if outcome.plan.steps() else ", as it was"
    terminal.result(f"{spec.endpoint} is {outcome.status}{changed}. Try: byoc invoke {spec.endpoint} FILE")


def _plan_summary(plan: Plan) -> dict[str, object]:
    return {"endpoint": plan.desired.endpoint, "steps": [step.summary() for step in plan.steps()]}


def _show_plan(plan: Plan, as_json: bool) -> None:
    if as_json:
        terminal.print_json(_plan_summary(plan))
    elif not plan.steps():
        terminal.result(f"{plan.desired.endpoint}: nothing to do")
    else:
        _show_steps(plan.steps())


def _show_steps(steps: tuple[Step, ...]) -> None:
    for step in steps:
        terminal.result(str(step))


def status(
    endpoint: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Show how an endpoint is: its state, its variants with instances and weights, image, model and scaling."""
    found = endpoint_status(aws.connect(region, profile), endpoint)
    if as_json:
        terminal.print_json(found.summary())
    else:
        terminal.result(str(found))


def delete(
    endpoint: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    upload_to: Annotated[
        str | None, typer.Option(help="Where models were uploaded to, if nothing else of the deployment is left.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    timeout: Timeout = Patience.timeout,
    interval: WaitInterval = Patience.interval,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Delete an endpoint, with all that `byoc deploy` made for it and nothing else.

    Shows what that is, and asks. Images, roles, buckets and logs stay.
    """
    session = aws.connect(region, profile)
    planned = deletion.plan_deletion(session, endpoint, upload_to)
    if not planned.steps():
        raise NotFoundError(f"There is no deployment {endpoint!r} in {session.region}", "Nothing was deleted.")
    _show_steps(planned.steps())
    if not yes:
        typer.confirm("Delete all of this?", abort=True, err=True)
    deletion.delete(session, planned, Patience(interval, timeout))
    terminal.result(f"Deleted {endpoint}.")
