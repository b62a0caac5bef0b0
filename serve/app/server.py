"""Routes, start and stop of the app."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from aiohttp import web

from serve.app import metrics
from serve.app.errors import RequestError, as_json, error_response
from serve.app.health import Health
from serve.app.invocations import Invocations
from serve.app.options import AppOptions
from serve.triton.client import TritonClient

__all__ = ["create_app", "run"]

logger = logging.getLogger("serve.app")

# SageMaker's own limits are far lower; this one keeps a wrong Content-Length from filling the memory.
BODY_BYTES = 1024**3

READY_POLL_SECONDS = 0.2

HEALTH = web.AppKey("health", Health)
INVOCATIONS = web.AppKey("invocations", Invocations)
OPTIONS = web.AppKey("options", AppOptions)
SESSION = web.AppKey("session", aiohttp.ClientSession)


def create_app(options: AppOptions) -> web.Application:
    """Return the application, as it was told to be."""
    app = web.Application(middlewares=[as_json], client_max_size=BODY_BYTES)
    app[OPTIONS] = options
    app.cleanup_ctx.append(_clients)
    app.router.add_route("GET", "/ping", _ping)
    app.router.add_route("POST", "/ping", _ping)
    app.router.add_route("GET", "/execution-parameters", _execution_parameters)
    app.router.add_route("GET", "/metrics", _metrics)
    app.router.add_route("POST", "/invocations", _invoke)
    return app


async def run(options: AppOptions) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(
        create_app(options),
        access_log=None,
        shutdown_timeout=options.drain_seconds,
        keepalive_timeout=75,
    )
    await runner.setup()
    announcing = asyncio.create_task(_announce_ready(runner.app[HEALTH], options))
    await _site(runner, options).start()
    await stop.wait()
    announcing.cancel()
    await runner.cleanup()


async def _clients(app: web.Application) -> AsyncIterator[None]:
    options = app[OPTIONS]
    # No limits of its own: the front door and Triton have theirs.
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
        triton = TritonClient(session, options.triton_http)
        models = (options.default_model, *options.watched_models)
        app[SESSION] = session
        app[HEALTH] = Health(triton, models, options.ping_mode)
        app[INVOCATIONS] = Invocations(triton, session, options.default_model, options.inference_type)
        yield


async def _ping(request: web.Request) -> web.Response:
    reason = await request.app[HEALTH].reason_not_ready()
    if reason is None:
        return web.json_response({"status": "ready"})
    return error_response(503, reason)


async def _execution_parameters(request: web.Request) -> web.Response:
    """Propose to batch transform what fits: records can't be joined into one KServe request."""
    return web.json_response(
        {
            "MaxConcurrentTransforms": request.app[OPTIONS].max_concurrent_transforms,
            "BatchStrategy": "SINGLE_RECORD",
            "MaxPayloadInMB": 6,
        }
    )


async def _metrics(request: web.Request) -> web.Response:
    try:
        page = await metrics.collect(request.app[OPTIONS], request.app[SESSION])
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
        raise RequestError(503, f"the metrics can't be read: {error}") from error
    return web.Response(text=page, headers={"Content-Type": metrics.CONTENT_TYPE})


async def _invoke(request: web.Request) -> web.StreamResponse:
    return await request.app[INVOCATIONS].invoke(request)


def _site(runner: web.AppRunner, options: AppOptions) -> web.BaseSite:
    if options.socket is None:
        return web.TCPSite(runner, port=options.port)
    Path(options.socket).unlink(missing_ok=True)  # left by an app that was killed
    return web.UnixSite(runner, options.socket)


async def _announce_ready(health: Health, options: AppOptions) -> None:
    started = time.monotonic()
    while await health.reason_not_ready() is not None:  # noqa: ASYNC110 (another process's state has no event)
        await asyncio.sleep(READY_POLL_SECONDS)
    logger.info("%s is ready after %.1f s", options.default_model, time.monotonic() - started)
