"""`byoc invoke`."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from byoc import aws
from byoc.aws import Aws
from byoc.commands import terminal
from byoc.commands.options import Profile, Region, WaitInterval
from byoc.endpoint import invocation, payload
from byoc.endpoint.invocation import Answer, Request
from byoc.errors import InvocationError

__all__ = ["register"]

DEFAULT_INPUT = "INPUT"


class Form(str, Enum):
    """How a tensor is written."""

    json = "json"
    binary = "binary"


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(invoke)


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a shape such as 1,3,224,224", param_hint="'--shape'") from None


def invoke(
    endpoint: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    file: Annotated[str, typer.Argument(help="File with the request's body, - for stdin; with --async also s3://…")],
    content_type: Annotated[str | None, typer.Option(help="Default: by the file's name or content.")] = None,
    accept: Annotated[str | None, typer.Option(help="Media type that is wanted.")] = None,
    target_model: Annotated[str | None, typer.Option(help="Of many models, the one to ask: NAME.tar.gz")] = None,
    variant: Annotated[str | None, typer.Option(help="Production variant to ask.")] = None,
    inference_id: Annotated[str | None, typer.Option(help="A name for the request.")] = None,
    custom_attributes: Annotated[str | None, typer.Option(help="Passed on to the container.")] = None,
    kserve: Annotated[
        Form | None, typer.Option(help="Make a KServe request of a .npy file or an image: JSON, or JSON and binary.")
    ] = None,
    input_name: Annotated[str, typer.Option("--input", help="With --kserve: the model's input.")] = DEFAULT_INPUT,
    shape: Annotated[str | None, typer.Option(help="With --kserve: the tensor's shape.", metavar="N,N,…")] = None,
    streamed: Annotated[bool, typer.Option("--stream", help="Print the answer as it comes.")] = False,
    asynchronous: Annotated[bool, typer.Option("--async", help="Ask an asynchronous endpoint, wait for it.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File for the answer; .npy and .npz get its tensors.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0, help="How long to wait for a model to load, or a result.", metavar="SECONDS")
    ] = invocation.MODEL_LOADING_S,
    interval: WaitInterval = 2.0,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Ask an endpoint about a file, and show the answer.

    While SageMaker loads the model the request is made again. JSON is shown indented, tensors with shape and values.
    """
    session = aws.connect(region, profile)
    location = file if asynchronous and file.startswith("s3://") else None
    body = _payload(file, location, content_type, kserve, input_name, _shape(shape))
    request = Request(endpoint, body, accept, target_model, variant, inference_id, custom_attributes)
    if streamed:
        _stream(session, request, output, timeout)
    elif asynchronous:
        _show(invocation.invoke_async(session, request, location, timeout, interval), output)
    else:
        _show(invocation.invoke(session, request, timeout), output)


def _payload(
    file: str,
    location: str | None,
    content_type: str | None,
    form: Form | None,
    input_name: str,
    shape: tuple[int, ...] | None,
) -> payload.Payload:
    if location is not None:
        return payload.Payload(b"", content_type or payload.guess_content_type(location, b""))
    body = payload.from_file(file, sys.stdin.buffer, content_type)  # type: ignore[arg-type]
    return payload.as_kserve(body, form.value, input_name, shape) if form else body


def _stream(session: Aws, request: Request, output: Path | None, timeout: float) -> None:
    parts = invocation.stream(session, request, timeout)
    if output is not None:
        with output.open("wb") as target:
            target.writelines(parts)
        return
    for part in parts:
        sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()


def _show(answer: Answer, output: Path | None) -> None:
    if output is not None:
        payload.save(answer.body, answer.content_type, output)
        return
    text = payload.readable(answer.body, answer.content_type)
    if text is not None:
        terminal.result(text)
    elif sys.stdout.isatty():
        size = f"{len(answer.body):,} bytes of {answer.content_type}"
        raise InvocationError(f"The answer is {size}, not for a terminal", "Use --output FILE.")
    else:
        sys.stdout.buffer.write(answer.body)
        sys.stdout.buffer.flush()
