"""Open loop: send requests at a steady rate, whether responses come or not, and measure from when each was due.

A client that waits for a response before it sends the next request hides the very stalls that it should show
("coordinated omission"). This one runs in a process of its own, ahead of all others for the CPU where the kernel allows
that (real callers are on other machines), and reports how late it was itself.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, suppress
from multiprocessing import get_context

import aiohttp

from byoc.errors import LoadError
from byoc.load.latencies import Timing
from byoc.load.request import Request
from serve import sagemaker

__all__ = ["client_process", "run"]

CONNECTIONS = 32


def client_process() -> ProcessPoolExecutor:
    """Return an executor with one process, to submit `run` to."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_take_precedence)


def run(request: Request, per_second: float, seconds: float) -> list[Timing]:
    """Send `per_second` requests a second for `seconds`, wait for all responses, and return a timing for each.

    Raises:
        LoadError: a response was not 200, or did not come.
    """
    return asyncio.run(_send_all(request, per_second, seconds))


async def _send_all(request: Request, per_second: float, seconds: float) -> list[Timing]:
    async with AsyncExitStack() as stack:
        idle: asyncio.Queue[aiohttp.ClientSession] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            idle.put_nowait(await stack.enter_async_context(_connection(request.headers)))
        await asyncio.gather(*(_send(idle, request, time.perf_counter()) for _ in range(CONNECTIONS)))  # connect
        start = time.perf_counter() + 0.1
        sent = []
        for number in range(round(per_second * seconds)):
            due = start + number / per_second
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            sent.append(asyncio.create_task(_send(idle, request, due)))
        return await asyncio.gather(*sent)


def _connection(headers: Mapping[str, str]) -> aiohttp.ClientSession:
    """Return a session of one connection. A pool of aiohttp's own would use the same few again and again."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1, keepalive_timeout=sagemaker.ANSWER_SECONDS),
        timeout=aiohttp.ClientTimeout(total=sagemaker.ANSWER_SECONDS),
        headers=headers,
    )


async def _send(idle: asyncio.Queue[aiohttp.ClientSession], request: Request, due: float) -> Timing:
    """Send on the connection that has been idle for longest."""
    late = time.perf_counter() - due
    session = await idle.get()
    try:
        async with session.post(request.url, data=request.body) as response:
            text = await response.read()
    except (aiohttp.ClientError, asyncio.TimeoutError) as error:
        raise LoadError(f"{request.url}: {type(error).__name__} {error}") from error
    finally:
        idle.put_nowait(session)
    if response.status != 200:
        raise LoadError(f"{request.url} returned {response.status}: {text[:500]!r}")
    return Timing(late, time.perf_counter() - due)


def _take_precedence() -> None:
    with suppress(PermissionError):  # then it competes with what it measures, and how late it sends shows that
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
