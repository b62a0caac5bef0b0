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
from byoc.commands.options import Endpoint, Profile, Region, WaitInterval
from byoc.endpoint import async_invocation, invocation, payload
from byoc.endpoint.invocation import Request, Response
from byoc.errors import InvocationError

__all__ = ["invoke"]

DEFAULT_INPUT = "INPUT"


class Form(str, Enum):
    """How a tensor is encoded."""

    json = "json"
    binary = "binary"


def invoke(
    endpoint: Endpoint,
    file: Annotated[
        str,
        typer.Argument(
            help="File with the request's body; - reads stdin; with --async also an s3:// address.", metavar="FILE"
        ),
    ],
    content_type: Annotated[
        str | None, typer.Option(help="Content type. Default: from the file's name or content.", metavar="TYPE")
    ] = None,
    accept: Annotated[str | None, typer.Option(help="Media type of the response.", metavar="TYPE")] = None,
    target_model: Annotated[
        str | None, typer.Option(help="Model of a multi-model endpoint.", metavar="NAME.tar.gz")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="Production variant to invoke.", metavar="NAME")] = None,
    inference_id: Annotated[str | None, typer.Option(help="Identifier of the request.", metavar="ID")] = None,
    custom_attributes: Annotated[
        str | None, typer.Option(help="Custom attributes, passed to the container.", metavar="TEXT")
    ] = None,
    kserve: Annotated[
        Form | None,
        typer.Option(
            help="Make a KServe request from the file: all JSON, or JSON and binary. A .npy file becomes its array, "
            "any other file one BYTES element.",
            metavar="json|binary",
        ),
    ] = None,
    input_name: Annotated[
        str, typer.Option("--input", help="With --kserve: name of the model's input.", metavar="NAME")
    ] = DEFAULT_INPUT,
    shape: Annotated[
        str | None, typer.Option(help="With --kserve: shape of the tensor. Default: the array's.", metavar="N,N,…")
    ] = None,
    streamed: Annotated[bool, typer.Option("--stream", help="Print the response as it arrives.")] = False,
    asynchronous: Annotated[
        bool, typer.Option("--async", help="Invoke an asynchronous endpoint, and wait for the result.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File for the response; .npy and .npz store its tensors.", metavar="FILE"),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            min=0, help="Maximum time to wait for a model to load, or for an asynchronous result.", metavar="SECONDS"
        ),
    ] = invocation.MODEL_LOADING_S,
    interval: WaitInterval = 2.0,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Send a file to an endpoint and print the response.

    While SageMaker loads the model, the request is retried. JSON is printed indented, tensors with shape and values.
    """
    session = aws.connect(region, profile)
    location = file if asynchronous and file.startswith("s3://") else None
    body = _payload(file, location, content_type, kserve, input_name, _shape(shape))
    request = Request(endpoint, body, accept, target_model, variant, inference_id, custom_attributes)
    if streamed:
        _stream(session, request, output, timeout)
        return
    if asynchronous:
        response = async_invocation.invoke_async(
            session, request, location, timeout, interval, progress=terminal.PROGRESS
        )
    else:
        response = invocation.invoke(session, request, timeout, progress=terminal.PROGRESS)
    _show(response, output)


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a shape such as 1,3,224,224", param_hint="'--shape'") from None


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
    body = payload.from_file(file, sys.stdin.buffer, content_type)
    return payload.as_kserve(body, form.value, input_name, shape) if form else body


def _stream(session: Aws, request: Request, output: Path | None, timeout: float) -> None:
    parts = invocation.stream(session, request, timeout, progress=terminal.PROGRESS)
    if output is not None:
        with output.open("wb") as target:
            target.writelines(parts)
        return
    for part in parts:
        sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()


def _show(response: Response, output: Path | None) -> None:
    if output is not None:
        payload.save(response.body, response.content_type, output)
        return
    text = payload.readable(response.body, response.content_type)
    if text is not None:
        terminal.result(text)
    elif sys.stdout.isatty():
        size = f"{len(response.body):,} bytes of {response.content_type}"
        raise InvocationError(f"The response is {size}, which a terminal cannot show", "Use --output FILE.")
    else:
        sys.stdout.buffer.write(response.body)
        sys.stdout.buffer.flush()
