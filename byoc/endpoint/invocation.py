"""Invoking an endpoint and streaming its response; asynchronous requests are in `async_invocation`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypedDict, TypeVar

from botocore.exceptions import ClientError

from byoc.aws import Aws, error_code
from byoc.aws.errors import error_message
from byoc.endpoint.container_logs import log_group
from byoc.endpoint.payload import Payload
from byoc.errors import ByocError, InvocationError, NotFoundError
from byoc.progress import SILENT, Progress
from serve import sagemaker

__all__ = ["MODEL_LOADING_S", "Request", "Response", "invoke", "log_remedy", "stream", "until_ready"]

# After ModelNotReadyException, SageMaker keeps loading the model for this long.
MODEL_LOADING_S = float(sagemaker.MODEL_LOAD_SECONDS)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 10.0
T = TypeVar("T")


class Members(TypedDict, total=False):
    """The optional members of every synchronous request."""

    Accept: str
    TargetVariant: str
    InferenceId: str
    CustomAttributes: str


class TargetModel(TypedDict, total=False):
    """The member of InvokeEndpoint that InvokeEndpointWithResponseStream does not have."""

    TargetModel: str


@dataclass(frozen=True)
class Request:
    """A request to an endpoint. Members that are None are not sent.

    Attributes:
        endpoint: its name.
        payload: body and content type.
        accept: the media type of the response.
        target_model: on a multi-model endpoint, the archive's name below the prefix.
        variant: the production variant, instead of one chosen by weight.
        inference_id: an identifier of the request, which captured data and asynchronous results contain.
        custom_attributes: passed to the container.
    """

    endpoint: str
    payload: Payload
    accept: str | None = None
    target_model: str | None = None
    variant: str | None = None
    inference_id: str | None = None
    custom_attributes: str | None = None

    def members(self) -> Members:
        """The optional members that are set."""
        members: Members = {}
        if self.accept is not None:
            members["Accept"] = self.accept
        if self.variant is not None:
            members["TargetVariant"] = self.variant
        if self.inference_id is not None:
            members["InferenceId"] = self.inference_id
        if self.custom_attributes is not None:
            members["CustomAttributes"] = self.custom_attributes
        return members

    def target(self) -> TargetModel:
        """The target model, if it is set."""
        return {} if self.target_model is None else {"TargetModel": self.target_model}


@dataclass(frozen=True)
class Response:
    """An endpoint's response: body, content type, and the variant and attributes that it names (empty if none)."""

    body: bytes
    content_type: str
    variant: str = ""
    custom_attributes: str = ""


def invoke(aws: Aws, request: Request, timeout: float = MODEL_LOADING_S, *, progress: Progress = SILENT) -> Response:
    """Send a request and return the response. While the model is loading, retry for up to `timeout` seconds.

    Raises:
        InvocationError: the model or the endpoint rejects the request; the message quotes it.
        NotFoundError: the endpoint does not exist.
    """
    response = until_ready(
        request,
        lambda: aws.runtime.invoke_endpoint(
            EndpointName=request.endpoint,
            Body=request.payload.body,
            ContentType=request.payload.content_type,
            **request.members(),
            **request.target(),
        ),
        timeout,
        progress,
    )
    return Response(
        response["Body"].read(),
        response["ContentType"],
        response.get("InvokedProductionVariant", ""),
        response.get("CustomAttributes", ""),
    )


def stream(
    aws: Aws, request: Request, timeout: float = MODEL_LOADING_S, *, progress: Progress = SILENT
) -> Iterator[bytes]:
    """Send a request, and yield each part of the response as it arrives. Raises as `invoke` does, midway too."""
    response = until_ready(
        request,
        lambda: aws.runtime.invoke_endpoint_with_response_stream(
            EndpointName=request.endpoint,
            Body=request.payload.body,
            ContentType=request.payload.content_type,
            **request.members(),
        ),
        timeout,
        progress,
    )
    try:
        for event in response["Body"]:
            if "PayloadPart" in event:
                yield event["PayloadPart"]["Bytes"]
    except ClientError as error:
        message = f"{request.endpoint} stopped before the end of the response: {_message(error)}"
        raise InvocationError(message, log_remedy(request)) from error


def until_ready(request: Request, send: Callable[[], T], timeout: float, progress: Progress) -> T:
    """Call `send` until SageMaker no longer reports ModelNotReadyException, which botocore does not retry.

    Raises:
        InvocationError: the model was not ready after `timeout` seconds, or the request was rejected.
        NotFoundError: the endpoint does not exist.
    """
    began, pause = time.monotonic(), _FIRST_PAUSE_S
    while True:
        try:
            return send()
        except ClientError as error:
            elapsed = time.monotonic() - began
            if error_code(error) != "ModelNotReadyException" or elapsed + pause > timeout:
                raise _rejection(request, error) from error
        progress.note(f"{request.endpoint}: the model is loading ({int(elapsed)} s)")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def _rejection(request: Request, error: ClientError) -> ByocError | ClientError:
    """What a rejected request means to the user; the error itself if it is not about the invocation."""
    code, message = error_code(error), _message(error)
    if code == "ModelError":
        status, original = error.response.get("OriginalStatusCode"), error.response.get("OriginalMessage")
        return InvocationError(f"The model returned {status}: {original or message}", log_remedy(request))
    if code == "ModelNotReadyException":
        return InvocationError(f"The model is still not ready: {message}", log_remedy(request))
    if code == "ValidationError" and "not found" in message:
        return NotFoundError(f"There is no endpoint {request.endpoint!r}", "Check the name and --region.")
    if code == "ValidationError":
        remedy = "Name the model: --target-model NAME.tar.gz" if "target model header" in message else ""
        return InvocationError(f"{request.endpoint} rejects the request: {message}", remedy)
    return error


def _message(error: ClientError) -> str:
    return error_message(error) or str(error)


def log_remedy(request: Request) -> str:
    """The remedy that points to the container's log."""
    return f"See the container's log: `byoc logs {request.endpoint}` ({log_group(request.endpoint)})."
