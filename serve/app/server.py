"""Puts the app together; its start and its stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiohttp import web

from serve import sagemaker
from serve.app.draining import Draining
from serve.app.errors import Connection, as_json
from serve.app.invocations import Invocations
from serve.app.models import ModelRoutes
from serve.app.options import AppOptions
from serve.app.system import ReasonNotReady, SystemRoutes
from serve.tenants.watch import MultiModel
from serve.triton.client import TritonClient, open_session
from serve.triton.health import Health

__all__ = ["run"]

logger = logging.getLogger("serve.app")

# SageMaker's own limits are far lower; this one keeps a wrong Content-Length from filling the memory.
BODY_BYTES = 1024**3

# As much as HAProxy lets pass; SageMaker sends several headers of up to 1,024 bytes.
HEADER_BYTES = 64 * 1024

# Connections that wait to be accepted: as many as may come at once.
BACKLOG = 1024

READY_POLL_SECONDS = 0.2

# How often the log says what is still being waited for.
TELL_SECONDS = 10.0

# How long what the drain has left in flight may still take.
CUT_SECONDS = 0.5


async def run(options: AppOptions) -> bool:
    """Serve until SIGTERM or SIGINT, then finish what is in flight; return whether all of it was answered."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session(options.triton_http))
        triton = TritonClient(session)
        health = Health(triton, options.watched_models, options.ping_mode, options.runtime)
        app = web.Application(middlewares=[as_json], client_max_size=BODY_BYTES)
        if options.multi_model is None:
            reason_not_ready = health.reason_not_ready
            _add_invocations(app, Invocations(triton, session, options.inference_type), str(options.default_model))
        else:
            multi_model = await stack.enter_async_context(
                MultiModel(options.multi_model, triton, health, options.runtime)
            )
            reason_not_ready = multi_model.reason_not_ready
            killed = multi_model.killed_for_memory
            invocations = Invocations(triton, session, options.inference_type, killed)
            ModelRoutes(multi_model.tenants, invocations).register(app.router)
        SystemRoutes(options, reason_not_ready).register(app.router)
        return await _serve(app, options, reason_not_ready, stop)


async def _serve(
    app: web.Application, options: AppOptions, reason_not_ready: ReasonNotReady, stop: asyncio.Event
) -> bool:
    draining = Draining(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CUT_SECONDS)
    await runner.setup()
    announcing = asyncio.create_task(_announce_ready(reason_not_ready, options))
    try:
        listening = await _listen(runner, options)
        await stop.wait()
        listening.close()
        # Behind HAProxy nothing is in flight any more.
        return options.socket is not None or await draining.finish(options.drain_seconds)
    finally:
        announcing.cancel()
        await runner.cleanup()


def _add_invocations(app: web.Application, invocations: Invocations, model: str) -> None:
    async def invoke(request: web.Request) -> web.StreamResponse:
        return await invocations.invoke(request, model)

    app.router.add_route("POST", sagemaker.INVOCATIONS, invoke)


def _listen(runner: web.AppRunner, options: AppOptions) -> Awaitable[asyncio.Server]:
    loop = asyncio.get_running_loop()
    limits = {"max_line_size": HEADER_BYTES, "max_field_size": HEADER_BYTES}
    settings: dict[str, Any] = {"access_log": None, "keepalive_timeout": 75, **limits}

    def connection() -> Connection:
        if runner.server is None:
            raise RuntimeError("the runner has not been set up")
        return Connection(runner.server, loop=loop, **settings)

    if options.port is not None:
        return loop.create_server(connection, port=options.port, backlog=BACKLOG)
    path = Path(str(options.socket))
    path.unlink(missing_ok=True)  # left by an app that was killed
    return loop.create_unix_server(connection, path, backlog=BACKLOG)


async def _announce_ready(reason_not_ready: ReasonNotReady, options: AppOptions) -> None:
    started = told = time.monotonic()
    while (reason := await reason_not_ready()) is not None:
        if (now := time.monotonic()) - told >= TELL_SECONDS:
            told = now
            logger.info("not ready after %.0f s: %s", now - started, reason)
        await asyncio.sleep(READY_POLL_SECONDS)
    logger.info("%s is ready after %.1f s", options.default_model or "the endpoint", time.monotonic() - started)
