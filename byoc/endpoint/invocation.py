"""Asking an endpoint: at once, as a stream, or asynchronously; and what its refusals mean."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from byoc.aws import Aws, error_code
from byoc.commands import terminal
from byoc.deployment.storage import split_uri
from byoc.endpoint.container_logs import log_group
from byoc.endpoint.payload import Payload
from byoc.errors import ByocError, InvocationError, NotFoundError
from serve import sagemaker

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime.type_defs import InvokeEndpointAsyncOutputTypeDef

__all__ = ["Answer", "Request", "invoke", "invoke_async", "stream"]

# SageMaker goes on loading a model for as long after it has said ModelNotReady.
MODEL_LOADING_S = float(sagemaker.MODEL_LOAD_SECONDS)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 10.0
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """What an endpoint is asked. What is None is not sent.

    Attributes:
        endpoint: its name.
        payload: body and content type.
        accept: the media type wanted.
        target_model: of many models, the archive's name below the prefix.
        variant: the production variant to ask, instead of one by weight.
        inference_id: a name for the request, in captured data and asynchronous results.
        custom_attributes: passed on to the container.
    """

    endpoint: str
    payload: Payload
    accept: str | None = None
    target_model: str | None = None
    variant: str | None = None
    inference_id: str | None = None
    custom_attributes: str | None = None

    def members(self, *names: str) -> dict[str, Any]:
        """The named members of the API's request that are set."""
        known = {
            "Accept": self.accept,
            "TargetModel": self.target_model,
            "TargetVariant": self.variant,
            "InferenceId": self.inference_id,
            "CustomAttributes": self.custom_attributes,
        }
        return {name: known[name] for name in names if known[name] is not None}


@dataclass(frozen=True)
class Answer:
    """What an endpoint answered: body, content type, and the variant and attributes it names (empty if none)."""

    body: bytes
    content_type: str
    variant: str = ""
    custom_attributes: str = ""


def invoke(aws: Aws, request: Request, patience: float = MODEL_LOADING_S) -> Answer:
    """Ask, and wait for the answer; while a model is being loaded, ask again for up to `patience` seconds.

    Raises:
        InvocationError: the model or the endpoint refuses, with its own words.
        NotFoundError: there is no such endpoint.
    """
    members = request.members("Accept", "TargetModel", "TargetVariant", "InferenceId", "CustomAttributes")
    answer = _until_ready(
        request,
        lambda: aws.runtime.invoke_endpoint(
            EndpointName=request.endpoint,
            Body=request.payload.body,
            ContentType=request.payload.content_type,
            **members,
        ),
        patience,
    )
    return Answer(
        answer["Body"].read(),
        answer["ContentType"],
        answer.get("InvokedProductionVariant", ""),
        answer.get("CustomAttributes", ""),
    )


def stream(aws: Aws, request: Request, patience: float = MODEL_LOADING_S) -> Iterator[bytes]:
    """Ask, and give each part of the answer as it comes; raises as `invoke` does, midway too."""
    members = request.members("Accept", "TargetVariant", "InferenceId", "CustomAttributes")
    answer = _until_ready(
        request,
        lambda: aws.runtime.invoke_endpoint_with_response_stream(
            EndpointName=request.endpoint,
            Body=request.payload.body,
            ContentType=request.payload.content_type,
            **members,
        ),
        patience,
    )
    try:
        for event in answer["Body"]:
            if "PayloadPart" in event:
                yield event["PayloadPart"]["Bytes"]
    except ClientError as error:
        raise InvocationError(f"{request.endpoint} broke off: {_message(error)}", _log_remedy(request)) from error


def invoke_async(aws: Aws, request: Request, input_location: str | None, patience: float, interval: float) -> Answer:
    """Ask an asynchronous endpoint, and wait for the result to lie in S3.

    Args:
        aws: the session.
        request: its payload's body goes with the request, unless `input_location` says where in S3 the body is.
        input_location: `s3://…`, or None.
        patience: how long to wait for the result, in seconds.
        interval: how often to look, in seconds.

    Raises:
        InvocationError: the request failed (with what the failure object says), or took too long.
    """
    if input_location is None and len(request.payload.body) > sagemaker.MAX_ASYNC_INLINE_BYTES:
        size = (
            f"{len(request.payload.body):,} bytes, an asynchronous request takes {sagemaker.MAX_ASYNC_INLINE_BYTES:,}"
        )
        raise InvocationError(f"The body has {size}", "Upload it, and give its s3:// address instead of the file.")
    body = {"InputLocation": input_location} if input_location else {"Body": request.payload.body}
    members: Any = request.members("Accept", "CustomAttributes") | body
    accepted = _until_ready(
        request,
        lambda: aws.runtime.invoke_endpoint_async(
            EndpointName=request.endpoint,
            ContentType=request.payload.content_type,
            InferenceId=request.inference_id or str(uuid.uuid4()),
            **members,
        ),
        MODEL_LOADING_S,
    )
    return _async_result(aws, request, accepted, patience, interval)


def _async_result(
    aws: Aws, request: Request, accepted: InvokeEndpointAsyncOutputTypeDef, patience: float, interval: float
) -> Answer:
    began = time.monotonic()
    output, failure = accepted["OutputLocation"], accepted.get("FailureLocation")
    with terminal.waiting(f"waiting for {output}") as line:
        while True:
            answer = _object(aws, output)
            if answer is not None:
                return answer
            failed = _object(aws, failure) if failure else None
            if failed is not None:
                why = failed.body.decode("utf-8", "replace").strip()
                raise InvocationError(f"The request failed: {why} ({failure})", _log_remedy(request))
            elapsed = time.monotonic() - began
            if elapsed > patience:
                remedy = "It may still come. `byoc logs` shows what the container does."
                raise InvocationError(f"There is no result at {output} after {int(patience)} s", remedy)
            line.show(f"waiting for {output}", elapsed)
            time.sleep(interval)


def _object(aws: Aws, uri: str) -> Answer | None:
    """The object at `uri`; None if there is none (yet)."""
    bucket, key = split_uri(uri)
    try:
        found = aws.s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error_code(error) not in ("NoSuchKey", "404"):
            raise
        return None
    return Answer(found["Body"].read(), found["ContentType"])


def _until_ready(request: Request, ask: Callable[[], T], patience: float) -> T:
    """`ask()`, again and again while SageMaker says that the model is not ready: botocore does not do it by itself."""
    began, pause = time.monotonic(), _FIRST_PAUSE_S
    while True:
        try:
            return ask()
        except ClientError as error:
            elapsed = time.monotonic() - began
            if error_code(error) != "ModelNotReadyException" or elapsed + pause > patience:
                raise _refusal(request, error) from error
        terminal.note(f"{request.endpoint}: the model is being loaded ({int(elapsed)} s)")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def _refusal(request: Request, error: ClientError) -> ByocError | ClientError:
    """What a refused request means for the user; the error itself if it is not about the invocation."""
    code, message = error_code(error), _message(error)
    if code == "ModelError":
        status, original = error.response.get("OriginalStatusCode"), error.response.get("OriginalMessage")
        return InvocationError(f"The model answered {status}: {original or message}", _log_remedy(request))
    if code == "ModelNotReadyException":
        return InvocationError(f"The model is still not ready: {message}", _log_remedy(request))
    if code == "ValidationError" and "not found" in message:
        return NotFoundError(f"There is no endpoint {request.endpoint!r} here", "`byoc status` and --region may help.")
    if code == "ValidationError":
        remedy = "Name the model: --target-model NAME.tar.gz" if "target model header" in message else ""
        return InvocationError(f"{request.endpoint} refuses the request: {message}", remedy)
    return error


def _message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message") or error)


def _log_remedy(request: Request) -> str:
    return f"`byoc logs {request.endpoint}` shows the container's log ({log_group(request.endpoint)})."
