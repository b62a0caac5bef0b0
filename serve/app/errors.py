"""Errors that the app answers itself, all of them JSON of the form that Triton uses: `{"error": "…"}`."""

from __future__ import annotations

import json
import logging
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

__all__ = ["RequestError", "as_json", "error_response"]

logger = logging.getLogger("serve.app")


class RequestError(Exception):
    """A request that can't be answered.

    Args:
        status: HTTP status: 4xx the caller's fault, 5xx ours, 507 no memory.
        message: what is wrong, and what to do.
    """

    def __init__(self, status: int, message: str) -> None:
        """Keep status and message."""
        super().__init__(message)
        self.status = status


def error_response(status: int, message: str) -> web.Response:
    """Return an error as JSON."""
    return web.json_response({"error": message}, status=status, dumps=partial(json.dumps, ensure_ascii=False))


@web.middleware
async def as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into JSON: ours, aiohttp's own (404, 405, 413, …), and the unexpected (500, logged)."""
    try:
        return await handler(request)
    except RequestError as error:
        return error_response(error.status, str(error))
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        response = error_response(405, f"{request.method} {request.path}: expected {allowed}")
        response.headers["Allow"] = allowed
        return response
    except web.HTTPNotFound:
        return error_response(404, f"{request.method} {request.path}: there is nothing at this path")
    except web.HTTPException as error:
        return error_response(error.status, error.text or error.reason)
    except ConnectionResetError:  # the caller went away: nobody is left to answer
        raise
    except Exception:
        logger.exception("%s %s failed", request.method, request.path)
        return error_response(500, "the app failed: see the log of the container")
