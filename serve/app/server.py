"""Puts the app together, starts it and stops it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from pathlib import Path

from aiohttp import web

from serve import sagemaker
from serve.app.background import Background, Shutdown
from serve.app.draining import Draining
from serve.app.errors import Connection, as_json
from serve.app.invocations import Invocations
from serve.app.models import ModelRoutes
from serve.app.multi_model import running_multi_model
from serve.app.options import AppOptions, BehindHAProxy, MultiModelOptions, OnPort, SingleModelOptions
from serve.app.system import ReasonNotReady, SystemRoutes
from serve.front_door.live_map import HAProxyMap, LiveMap, NoMap
from serve.front_door.memory_flag import MemoryFlag
from serve.front_door.tenant_map import TenantMap
from serve.tenants.condition import Condition
from serve.triton.client import TritonClient, open_session
from serve.triton.configurations import Configurations
from serve.triton.health import Health
from serve.triton.processes import ModelProcesses

__all__ = ["announce_ready", "run"]

logger = logging.getLogger("serve.app")

# SageMaker's own limits are far lower. This one keeps a wrong Content-Length from filling the memory.
BODY_BYTES = 1024**3

# As much as HAProxy accepts. SageMaker sends several headers of up to 1,024 bytes.
HEADER_BYTES = 64 * 1024

# How many connections may wait to be accepted.
BACKLOG = 1024

# How long an idle connection stays open: as long as HAProxy keeps it.
KEEP_ALIVE_SECONDS = 75

READY_POLL_SECONDS = 0.2

# How often the log says why the endpoint is not ready yet.
TELL_SECONDS = 10.0

# How long requests that are still in flight after the drain may take.
CUT_SECONDS = 0.5


async def run(options: AppOptions) -> int:
    """Serve until SIGTERM or SIGINT, then finish what is in flight; return the exit status.

    0: all of it was answered. 1: it was not in time, or something that runs in the background has failed.
    """
    shutdown = Shutdown()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, shutdown.request)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session(options.triton_http))
        triton = TritonClient(session)
        condition = Condition(Configurations(triton), ModelProcesses(os.getppid(), options.runtime))
        health = Health(
            triton, condition.configurations, condition.processes, options.watched_models, options.ping_mode
        )
        app = web.Application(middlewares=[as_json], client_max_size=BODY_BYTES)
        if isinstance(options.serves, SingleModelOptions):
            reason_not_ready = health.reason_not_ready
            _add_invocations(app, Invocations(triton, session, options.inference_type), options.serves.default_model)
        else:
            maps = _maps(options.serves, options.listen)
            running = running_multi_model(options.serves, *maps, condition, health, shutdown)
            multi_model = await stack.enter_async_context(running)
            reason_not_ready = multi_model.reason_not_ready
            killed = multi_model.kill_watch.killed_recently
            invocations = Invocations(triton, session, options.inference_type, killed)
            ModelRoutes(multi_model.tenants, invocations).register(app.router)
        SystemRoutes(options, reason_not_ready).register(app.router)
        answered = await _serve(app, options, reason_not_ready, shutdown)
    return 0 if answered and not shutdown.failed else 1


async def _serve(
    app: web.Application, options: AppOptions, reason_not_ready: ReasonNotReady, shutdown: Shutdown
) -> bool:
    """Serve until the end is requested; return whether everything that was in flight then was answered."""
    draining = Draining()
    draining.attach(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CUT_SECONDS)
    await runner.setup()
    try:
        async with Background(shutdown) as background:
            background.start(announce_ready(reason_not_ready, options.endpoint))
            listening = await _listen(runner, options)
            await shutdown.requested.wait()
            listening.close()
        # Behind HAProxy nothing is in flight any more. After a failure nothing can be waited for.
        return (
            isinstance(options.listen, BehindHAProxy) or shutdown.failed or await draining.finish(options.drain_seconds)
        )
    finally:
        await runner.cleanup()


def _maps(options: MultiModelOptions, listen: OnPort | BehindHAProxy) -> tuple[TenantMap, MemoryFlag]:
    def live_map(path: str) -> LiveMap:
        return NoMap() if isinstance(listen, OnPort) else HAProxyMap(Path(path), Path(listen.admin_socket))

    return TenantMap(live_map(options.tenant_map)), MemoryFlag(live_map(options.memory_map))


def _add_invocations(app: web.Application, invocations: Invocations, model: str) -> None:
    async def invoke(request: web.Request) -> web.StreamResponse:
        return await invocations.invoke(request, model)

    app.router.add_route("POST", sagemaker.INVOCATIONS, invoke)


def _listen(runner: web.AppRunner, options: AppOptions) -> Awaitable[asyncio.Server]:
    loop = asyncio.get_running_loop()

    def connection() -> Connection:
        if runner.server is None:
            raise RuntimeError("the runner has not been set up")
        return Connection(
            runner.server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # no access log, which its annotation leaves out
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
        )

    if isinstance(options.listen, OnPort):
        return loop.create_server(connection, port=options.listen.port, backlog=BACKLOG)
    path = Path(options.listen.socket)
    path.unlink(missing_ok=True)  # left by an app that was killed
    return loop.create_unix_server(connection, path, backlog=BACKLOG)


async def announce_ready(
    reason_not_ready: ReasonNotReady,
    endpoint: str,
    poll_seconds: float = READY_POLL_SECONDS,
    tell_seconds: float = TELL_SECONDS,
) -> None:
    """Log when the endpoint is ready and, from time to time until then, what it still waits for.

    Args:
        reason_not_ready: tells why it is not ready, or None.
        endpoint: its name in the log.
        poll_seconds: how often to look.
        tell_seconds: how often to log the reason.
    """
    started = told = time.monotonic()
    while (reason := await reason_not_ready()) is not None:
        if (now := time.monotonic()) - told >= tell_seconds:
            told = now
            logger.info("not ready after %.0f s: %s", now - started, reason)
        await asyncio.sleep(poll_seconds)
    logger.info("%s is ready after %.1f s", endpoint, time.monotonic() - started)
