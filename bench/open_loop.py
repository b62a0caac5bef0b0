"""Invoke at a steady rate, whether answers come or not, and measure from the moment each request was due.

A client that waits for an answer before it sends the next request hides the very stalls that it should show
(“coordinated omission”). This one runs in a process of its own, ahead of all others for the CPU where it may be (real
callers are on other machines), and reports by how much it was late itself.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from multiprocessing import get_context

import aiohttp
import numpy as np

__all__ = ["Latencies", "OpenLoop", "OpenLoopError", "Timing", "client_process", "drive", "summary"]

CONNECTIONS = 32
ANSWER_SECONDS = 60.0


class OpenLoopError(RuntimeError):
    """A request was not answered with success."""


@dataclass(frozen=True)
class OpenLoop:
    """What to send, and how often.

    Attributes:
        url: where to.
        headers: HTTP headers.
        body: the body.
        per_second: requests a second.
        seconds: for how long.
    """

    url: str
    headers: dict[str, str]
    body: bytes
    per_second: float
    seconds: float


@dataclass(frozen=True)
class Latencies:
    """Milliseconds from when a request was due to its whole answer.

    Attributes:
        count: number of requests.
        p50, p99, p999, max: the latency, the client's own delay included.
        late_p999, late_max: by how much the client itself was late to send.
    """

    count: int
    p50: float
    p99: float
    p999: float
    max: float
    late_p999: float
    late_max: float

    def __str__(self) -> str:
        """Return a line."""
        return (
            f"p50 {self.p50:.2f}  p99 {self.p99:.2f}  p99.9 {self.p999:.2f}  max {self.max:.2f} ms"
            f"   ({self.count} requests; client late: p99.9 {self.late_p999:.2f}, max {self.late_max:.2f})"
        )


@dataclass(frozen=True)
class Timing:
    """One request: how late it was sent, and how long after it was due it was answered. Seconds."""

    late: float
    latency: float


def client_process() -> ProcessPoolExecutor:
    """Return an executor with one process, for `drive`."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_step_forward)


def drive(load: OpenLoop) -> list[Timing]:
    """Send for a while and wait for all answers.

    Raises:
        OpenLoopError: an answer was no success, or did not come.
    """
    return asyncio.run(_send_all(load))


def summary(timings: Sequence[Timing]) -> Latencies:
    """Return the percentiles: each is the latency of a request, not something between two of them."""
    latencies = np.array([timing.latency for timing in timings]) * 1000
    lates = np.array([timing.late for timing in timings]) * 1000
    p50, p99, p999 = np.percentile(latencies, [50, 99, 99.9], method="higher")
    late_p999 = np.percentile(lates, 99.9, method="higher")
    return Latencies(len(timings), p50, p99, p999, latencies.max(), late_p999, lates.max())


async def _send_all(load: OpenLoop) -> list[Timing]:
    async with AsyncExitStack() as stack:
        idle: asyncio.Queue[aiohttp.ClientSession] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            idle.put_nowait(await stack.enter_async_context(_connection(load.headers)))
        await asyncio.gather(*(_send(idle, load, time.perf_counter()) for _ in range(CONNECTIONS)))  # connect
        start = time.perf_counter() + 0.1
        requests = []
        for number in range(round(load.per_second * load.seconds)):
            due = start + number / load.per_second
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            requests.append(asyncio.create_task(_send(idle, load, due)))
        return await asyncio.gather(*requests)


def _connection(headers: dict[str, str]) -> aiohttp.ClientSession:
    """Return a session of one connection. A pool of aiohttp's own would use the same few again and again."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1, keepalive_timeout=ANSWER_SECONDS),
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
        headers=headers,
    )


async def _send(idle: asyncio.Queue[aiohttp.ClientSession], load: OpenLoop, due: float) -> Timing:
    """Send on the connection that has been idle for longest."""
    late = time.perf_counter() - due
    session = await idle.get()
    try:
        async with session.post(load.url, data=load.body) as answer:
            text = await answer.read()
    except (aiohttp.ClientError, asyncio.TimeoutError) as error:
        raise OpenLoopError(f"{load.url}: {type(error).__name__} {error}") from error
    finally:
        idle.put_nowait(session)
    if answer.status != 200:
        raise OpenLoopError(f"{load.url} answered {answer.status}: {text[:500]!r}")
    return Timing(late, time.perf_counter() - due)


def _step_forward() -> None:
    with suppress(PermissionError):  # then it competes with what it measures, and the delay that it reports shows it
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
