"""The app's own error responses, all of them JSON in the form that Triton uses: `{"error": "…"}`."""

from __future__ import annotations

import json
import logging
import time
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from serve import sagemaker

__all__ = ["Connection", "RequestError", "as_json", "error_response"]

logger = logging.getLogger("serve.app")

REASON_BYTES = 1000


class RequestError(Exception):
    """A request that can't be answered.

    Args:
        status: HTTP status: 4xx for the caller's fault, 5xx for ours, 507 for a lack of memory.
        message: what is wrong and what to do.
    """

    def __init__(self, status: int, message: str) -> None:
        """Keep status and message."""
        super().__init__(message)
        self.status = status


def error_response(status: int, message: str) -> web.Response:
    """Return an error as JSON."""
    return web.json_response({"error": message}, status=status, dumps=partial(json.dumps, ensure_ascii=False))


class Connection(web.RequestHandler):
    """A client's connection. Its response to input that isn't HTTP is JSON as well."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the response to what can't be parsed (400); `as_json` handles everything else."""
        if status != 400:
            return super().handle_error(request, status, exc, message)
        response = error_response(status, f"the request is not valid HTTP: {message or exc}")
        response.force_close()
        return response


@web.middleware
async def as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into JSON: ours, aiohttp's own (404, 405, 413, …) and unexpected ones (500).

    Responses of 5xx are logged, except those of `/ping`, which is requested all the time.
    """
    started = time.monotonic()
    try:
        response = await handler(request)
    except Exception as error:
        if request.transport is None or request.transport.is_closing():
            return web.Response()  # the caller has gone: nobody reads it
        response = _response_to(error, request)
    if response.status >= 500 and request.path != sagemaker.PING:
        _log(request, response, time.monotonic() - started)
    return response


def _response_to(error: Exception, request: web.Request) -> web.Response:
    if isinstance(error, RequestError):
        return error_response(error.status, str(error))
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        response = error_response(405, f"{request.method} {request.path}: expected {allowed}")
        response.headers["Allow"] = allowed
        return response
    if isinstance(error, web.HTTPNotFound):
        return error_response(404, f"{request.method} {request.path}: there is nothing at this path")
    if isinstance(error, web.HTTPException):
        return error_response(error.status, error.text or error.reason)
    if isinstance(error, web.RequestPayloadError):
        return error_response(400, f"the body can't be read: {error}")
    logger.error("%s %s failed", request.method, request.rel_url.raw_path, exc_info=error)
    return error_response(500, "the app failed: see the log of the container")


def _log(request: web.Request, response: web.StreamResponse, seconds: float) -> None:
    """Log what HAProxy logs of a failure, and the reason."""
    body = response.body if isinstance(response, web.Response) else None
    reason = body[:REASON_BYTES].decode(errors="replace") if isinstance(body, bytes) else ""
    logger.error(
        "%s %s: %d after %.0f ms, inference id %s: %s",
        request.method,
        request.rel_url.raw_path,  # quoted: a line break in a name must not start a new line in the log
        response.status,
        seconds * 1000,
        request.headers.get(sagemaker.INFERENCE_ID, "-").encode("ascii", "backslashreplace").decode(),
        reason,
    )
