"""The routes of every endpoint beside invocations: `/ping`, `/execution-parameters`, `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web

from serve import sagemaker
from serve.app import metrics
from serve.app.errors import RequestError, error_response
from serve.app.options import AppOptions

__all__ = ["SystemRoutes"]

ReasonNotReady = Callable[[], Awaitable[str | None]]


class SystemRoutes:
    """Request handlers.

    Args:
        options: the app's options.
        reason_not_ready: returns why an invocation would not be answered right now, or None.
    """

    def __init__(self, options: AppOptions, reason_not_ready: ReasonNotReady) -> None:
        """No route is added yet."""
        self._options = options
        self._reason_not_ready = reason_not_ready

    def register(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_route("GET", sagemaker.PING, self._ping)
        router.add_route("POST", sagemaker.PING, self._ping)
        router.add_route("GET", sagemaker.EXECUTION_PARAMETERS, self._execution_parameters)
        router.add_route("GET", sagemaker.METRICS, self._metrics)

    async def _ping(self, _: web.Request) -> web.Response:
        reason = await self._reason_not_ready()
        return web.json_response({"status": "ready"}) if reason is None else error_response(503, reason)

    async def _execution_parameters(self, _: web.Request) -> web.Response:
        """Propose parameters to batch transform: records can't be joined into one KServe request."""
        return web.json_response(
            {
                "MaxConcurrentTransforms": self._options.max_concurrent_transforms,
                "BatchStrategy": "SINGLE_RECORD",
                "MaxPayloadInMB": sagemaker.MAX_PAYLOAD_MB,
            }
        )

    async def _metrics(self, _: web.Request) -> web.Response:
        try:
            page = await metrics.collect(self._options)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise RequestError(503, f"the metrics can't be read: {error}") from error
        return web.Response(text=page, headers={"Content-Type": metrics.CONTENT_TYPE})
