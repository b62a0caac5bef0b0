"""Invocations that HAProxy does not send straight to Triton, and all invocations where there is no HAProxy."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from serve import sagemaker
from serve.app.errors import RequestError
from serve.codecs import kserve
from serve.triton import errors as triton_errors
from serve.triton.client import TritonClient

__all__ = ["Invocations"]

logger = logging.getLogger("serve.app")

CLOSED = "tritonserver closed the connection"

CHUNK_BYTES = 64 * 1024
ERROR_BYTES = 64 * 1024

ACCEPTED = (
    'KServe v2 JSON ({"inputs": [{"name": …, "shape": …, "datatype": …, "data": …}]}), '
    f"{sagemaker.BINARY_JSON_PREFIX}N with N bytes of JSON before the tensors, "
    f"or {sagemaker.BINARY_JSON_PREFIX}0 with the bytes of the only input, such as a JPEG"
)

# Headers of a single connection, headers that aiohttp sets itself, and body encodings, which aiohttp has decoded.
NOT_FORWARDED = {
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
}


@dataclass(frozen=True)
class Invocations:
    """Sends invocations to Triton.

    Args:
        triton: where Triton listens.
        session: the connections to use.
        inference_type: `infer`, `generate` or `generate_stream`, for requests that don't name one.
        killed_for_memory: tells whether the kernel recently killed a process for lack of memory.
    """

    triton: TritonClient
    session: aiohttp.ClientSession
    inference_type: str
    killed_for_memory: Callable[[], bool] = lambda: False

    async def invoke(self, request: web.Request, model: str) -> web.StreamResponse:
        """Send an invocation to a model and return Triton's response; both are streamed.

        Raises:
            RequestError: Triton would not understand the body (400, 415), or can't be reached (502, 503).
        """
        content_type = request.headers.get("Content-Type", "")
        header_size = kserve.binary_header_size(content_type)
        if header_size is not None:
            return await self._forward(request, model, "infer", request.content.iter_chunked(CHUNK_BYTES), header_size)
        if content_type.lower().startswith(sagemaker.BINARY_JSON):
            raise RequestError(400, f"Content-Type {content_type!r}: expected {sagemaker.BINARY_JSON_PREFIX}N")
        body = await request.read()
        content = _json_object(request, body)
        endpoint = self._endpoint(request, content)
        if endpoint != "infer":
            body = _with_headers(request, body, content)
        return await self._forward(request, model, endpoint, body)

    def _endpoint(self, request: web.Request, content: dict[str, object]) -> str:
        """Return the endpoint of Triton that a JSON object is for.

        Raises:
            RequestError: it is for none of them.
        """
        if sagemaker.EVENT_STREAM in request.headers.get("Accept", ""):
            return "generate_stream"
        if self.inference_type != "infer":
            return self.inference_type
        if "inputs" not in content:
            raise RequestError(400, f"the JSON has no key 'inputs', only {sorted(content)}: expected {ACCEPTED}")
        return "infer"

    async def _forward(
        self,
        request: web.Request,
        model: str,
        endpoint: str,
        body: bytes | AsyncIterator[bytes],
        header_size: int | None = None,
    ) -> web.StreamResponse:
        url = self.triton.model_url(model, endpoint)
        try:
            reply = await self.session.post(url, data=body, headers=_forwarded(request, header_size))
        except aiohttp.ClientConnectorError as error:
            raise RequestError(503, f"tritonserver does not accept requests: {error}") from error
        except aiohttp.ClientConnectionError as error:
            raise RequestError(502, f"{CLOSED} before it answered: {error}") from error
        async with reply:
            if reply.status < 400:
                return await _stream(request, reply)
            return await self._failed(reply, generating=endpoint != "infer")

    async def _failed(self, reply: aiohttp.ClientResponse, *, generating: bool) -> web.Response:
        """Return an error of Triton's with the status that SageMaker should see."""
        try:
            content = await reply.content.read(ERROR_BYTES)
        except aiohttp.ClientError as error:
            raise RequestError(502, f"{CLOSED} before it answered: {error}") from error
        killed = self.killed_for_memory()
        status = triton_errors.status_of(reply.status, content, generating=generating, killed_for_memory=killed)
        return web.Response(status=status, body=content, content_type=sagemaker.JSON)


def _forwarded(request: web.Request, header_size: int | None) -> dict[str, str]:
    """Return the headers of a request that Triton gets, and the size of the JSON before the tensors, if it has one."""
    headers = {name: value for name, value in request.headers.items() if name.lower() not in NOT_FORWARDED}
    headers.pop(kserve.HEADER_LENGTH, None)
    headers["Accept-Encoding"] = "identity"
    if header_size is not None:
        headers[kserve.HEADER_LENGTH] = str(header_size)
    return headers


def _json_object(request: web.Request, body: bytes) -> dict[str, object]:
    content_type = request.headers.get("Content-Type", "none")
    if not body:
        raise RequestError(400, f"the body is empty: expected {ACCEPTED}")
    try:
        content = json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        if "json" in content_type or kserve.is_json_object(body):
            raise RequestError(400, f"the body is not JSON: {error}") from None
        raise RequestError(415, f"Content-Type {content_type!r} is not supported: expected {ACCEPTED}") from None
    except RecursionError:
        raise RequestError(400, "the body is JSON that is nested too deeply") from None
    if not isinstance(content, dict):
        raise RequestError(400, f"the body is a JSON {type(content).__name__}, not an object: expected {ACCEPTED}")
    return content


def _with_headers(request: web.Request, body: bytes, content: dict[str, object]) -> bytes:
    """Return a generate request with SageMaker's headers as further keys, which reach the model as parameters.

    Triton itself passes headers to models with inference requests only. Keys that the caller wrote stay as they are.

    Args:
        request: has the headers.
        body: the JSON.
        content: the same JSON, parsed.
    """
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    added = {k: v for k, v in headers.items() if k.startswith(sagemaker.HEADER_PREFIX) and k not in content}
    if not added:
        return body
    start = json.dumps(added)[:-1] + (", " if content else "")
    return body.replace(b"{", start.encode(), 1)


def _text(value: str) -> str:
    """Return a header's value as text: aiohttp turns bytes that aren't UTF-8 into surrogates, which Triton refuses."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


async def _stream(request: web.Request, reply: aiohttp.ClientResponse) -> web.StreamResponse:
    """Pass a response on as it arrives: no chunk of an event stream is held back."""
    response = web.StreamResponse(status=reply.status)
    header_size = reply.headers.get(kserve.HEADER_LENGTH)
    response.headers["Content-Type"] = (
        f"{sagemaker.BINARY_JSON_PREFIX}{header_size}"
        if header_size is not None
        else reply.headers.get("Content-Type", sagemaker.JSON)
    )
    response.content_length = reply.content_length
    await response.prepare(request)
    try:
        async for chunk in reply.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
    except aiohttp.ClientError as error:
        # The status has been sent. Only a truncated body can still tell the caller.
        transport = request.transport
        if transport is not None and not transport.is_closing():
            path = request.rel_url.raw_path
            logger.error("%s %s: %s in the middle of its response: %s", request.method, path, CLOSED, error)
            transport.close()
    return response
