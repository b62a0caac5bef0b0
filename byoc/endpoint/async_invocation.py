"""Invoking an asynchronous endpoint, and waiting for the result in S3."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, TypedDict

from botocore.exceptions import ClientError

from byoc.aws import Aws, error_code
from byoc.aws.s3 import MISSING, split_uri
from byoc.endpoint.invocation import MODEL_LOADING_S, Request, Response, log_remedy, until_ready
from byoc.errors import InvocationError
from byoc.progress import SILENT, Progress
from serve.sagemaker import MAX_ASYNC_INLINE_BYTES

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime.type_defs import InvokeEndpointAsyncOutputTypeDef

__all__ = ["invoke_async"]


class _Members(TypedDict, total=False):
    Accept: str
    CustomAttributes: str
    InputLocation: str
    Body: bytes


def invoke_async(
    aws: Aws,
    request: Request,
    input_location: str | None,
    timeout: float,
    interval: float,
    *,
    progress: Progress = SILENT,
) -> Response:
    """Send a request to an asynchronous endpoint, and wait until the result is in S3.

    Args:
        aws: the session.
        request: its body is sent inline, unless `input_location` is set.
        input_location: the `s3://…` address of the body, or None.
        timeout: how long to wait for the result, in seconds.
        interval: how often to poll, in seconds.
        progress: receives notes and waits.

    Raises:
        InvocationError: the request failed (the message quotes the failure object), or there is no result in time.
    """
    if input_location is None and len(request.payload.body) > MAX_ASYNC_INLINE_BYTES:
        size = (
            f"{len(request.payload.body):,} bytes; the limit of an asynchronous request is {MAX_ASYNC_INLINE_BYTES:,}"
        )
        remedy = "Upload it to S3, and pass its s3:// address instead of the file."
        raise InvocationError(f"The body has {size}", remedy)
    accepted = until_ready(
        request,
        lambda: aws.runtime.invoke_endpoint_async(
            EndpointName=request.endpoint,
            ContentType=request.payload.content_type,
            InferenceId=request.inference_id or str(uuid.uuid4()),
            **_members(request, input_location),
        ),
        MODEL_LOADING_S,
        progress,
    )
    return _result(aws, request, accepted, timeout, interval, progress)


def _members(request: Request, input_location: str | None) -> _Members:
    members: _Members = {"InputLocation": input_location} if input_location else {"Body": request.payload.body}
    if request.accept is not None:
        members["Accept"] = request.accept
    if request.custom_attributes is not None:
        members["CustomAttributes"] = request.custom_attributes
    return members


def _result(
    aws: Aws,
    request: Request,
    accepted: InvokeEndpointAsyncOutputTypeDef,
    timeout: float,
    interval: float,
    progress: Progress,
) -> Response:
    """Poll S3 until the result or the failure object is there."""
    began = time.monotonic()
    output, failure = accepted["OutputLocation"], accepted.get("FailureLocation")
    with progress.waiting(f"waiting for {output}") as waiting:
        while True:
            response = _object(aws, output)
            if response is not None:
                return response
            failed = _object(aws, failure) if failure else None
            if failed is not None:
                reason = failed.body.decode("utf-8", "replace").strip()
                raise InvocationError(f"The request failed: {reason} ({failure})", log_remedy(request))
            elapsed = time.monotonic() - began
            if elapsed > timeout:
                remedy = f"It may still arrive. {log_remedy(request)}"
                raise InvocationError(f"There is no result at {output} after {int(timeout)} s", remedy)
            waiting.show(f"waiting for {output}", elapsed)
            time.sleep(interval)


def _object(aws: Aws, uri: str) -> Response | None:
    """The object at `uri`; None if it does not exist (yet)."""
    bucket, key = split_uri(uri)
    try:
        found = aws.s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error_code(error) not in MISSING:
            raise
        return None
    return Response(found["Body"].read(), found["ContentType"])
