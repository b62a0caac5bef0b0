"""Starts, watches, restarts and stops what the plan names."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from serve import sagemaker
from serve.front_door.admin import AdminSession
from serve.plan.make import Child, Plan
from serve.supervisor.process import Process, exit_status, how_it_ended, reap_orphans

__all__ = ["supervise"]

logger = logging.getLogger("serve")

# Just before SageMaker sends SIGKILL. What the drain leaves of it is for tritonserver to unload its models.
STOP_SECONDS = sagemaker.STOP_SECONDS - 1
APP_STOP_SECONDS = 2

# Once nothing has been in flight for this long, the connections that are still open are idle.
QUIET_SECONDS = 0.5
POLL_SECONDS = 0.05

# A child that keeps dying is not mended by starting it once more.
RESTARTS = 5
RESTART_WINDOW_SECONDS = 60
RESTART_DELAY_SECONDS = 0.2

REAP_SECONDS = 1


def supervise(plan: Plan) -> int:
    """Run a plan until it is told to stop or tritonserver ends; return the exit status.

    0: stopped by SIGTERM or SIGINT, everything in flight was answered. 1: the drain ended before everything was, or
    HAProxy or the app could not be kept alive. Otherwise tritonserver's own status, 128 + n for signal n.
    """
    return asyncio.run(_Supervisor(plan).run())


class _Supervisor:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._processes: dict[str, Process] = {}
        self._ending = asyncio.Event()
        self._failure: int | None = None
        self._starting = 0

    async def run(self) -> int:
        for directory in self._plan.directories:
            directory.mkdir(parents=True, exist_ok=True)
        for path, content in self._plan.files.items():
            path.write_text(content, encoding="utf-8")
        with _handling(self._told_to_stop):
            watchers = [asyncio.create_task(self._watch(child)) for child in self._plan.children]
            reaper = asyncio.create_task(self._reap_orphans())
            await self._ending.wait()
            deadline = time.monotonic() + STOP_SECONDS
            answered = self._failure is not None or await self._drain()
            await self._stop_all(deadline)
            await asyncio.gather(*watchers)
            reaper.cancel()
        if self._failure is not None:
            return self._failure
        return 0 if answered else 1

    def _told_to_stop(self, number: signal.Signals) -> None:
        if not self._ending.is_set():
            logger.info("%s: finishing what is in flight, %d s at most", number.name, self._plan.drain_seconds)
        self._ending.set()

    def _fail(self, status: int) -> None:
        if self._failure is None:
            self._failure = status
        self._ending.set()

    async def _watch(self, child: Child) -> None:
        """Keep a child running until the end begins, or its own end is the end."""
        deaths: deque[float] = deque(maxlen=RESTARTS)
        while not self._ending.is_set():
            self._starting += 1
            try:
                process = self._processes[child.name] = await Process.start(child)
            except OSError as error:
                logger.error("%s can't be started: %s: %s", child.name, child.arguments[0], error.strerror)
                return self._fail(1)
            finally:
                self._starting -= 1
            if self._ending.is_set():
                await process.stop(APP_STOP_SECONDS)
                return None
            if deaths and self._is_tritonserver(child):
                self._tell_app()
            status = await process.wait()
            if self._ending.is_set():
                return None
            _report(process, status)
            if self._is_tritonserver(child) and not self._plan.restarts_tritonserver:
                return self._fail(exit_status(status))
            deaths.append(time.monotonic())
            if len(deaths) == RESTARTS and deaths[-1] - deaths[0] < RESTART_WINDOW_SECONDS:
                logger.error("%s died %d times within %d s: giving up", child.name, RESTARTS, RESTART_WINDOW_SECONDS)
                return self._fail(exit_status(status) if self._is_tritonserver(child) else 1)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ending.wait(), RESTART_DELAY_SECONDS)
        return None

    async def _reap_orphans(self) -> None:
        """As process 1, end what processes leave behind whose parents die, such as those of `docker exec`."""
        while os.getpid() == 1:
            await asyncio.sleep(REAP_SECONDS)
            if not self._starting:  # whose process id is not known yet
                reap_orphans([process.pid for process in self._processes.values()])

    def _is_tritonserver(self, child: Child) -> bool:
        return child is self._plan.children[0]

    def _tell_app(self) -> None:
        """Let the app know that tritonserver was started anew, without the models that were loaded."""
        if app := self._processes.get("app"):
            app.send(signal.SIGHUP)

    async def _drain(self) -> bool:
        """Stop accepting and wait for what is in flight; return whether all of it was answered."""
        front = self._processes.get(self._plan.children[-1].name)
        if front is None or not front.running:
            return True
        seconds = self._plan.drain_seconds
        if self._plan.admin_socket is None:  # the app and tritonserver drain by themselves on SIGTERM
            ended = await front.stop(seconds + APP_STOP_SECONDS)
            answered = ended and front.status in (0, -signal.SIGTERM)  # the signal: it had not begun to listen
        else:
            answered = await _drain_haproxy(front, self._plan.admin_socket, seconds)
        if not answered:
            logger.warning("requests were still in flight after %d s: they are cut off", seconds)
        return answered

    async def _stop_all(self, deadline: float) -> None:
        """Stop what still runs, the front door first, tritonserver last."""
        for child in reversed(self._plan.children):
            process = self._processes.get(child.name)
            if process is None or not process.running:
                continue
            is_last = self._is_tritonserver(child)
            seconds = max(1.0, deadline - time.monotonic()) if is_last else APP_STOP_SECONDS
            if not await process.stop(seconds):
                logger.warning("%s did not end within %.0f s and was killed", child.name, seconds)


async def _drain_haproxy(haproxy: Process, admin_socket: Path, seconds: float) -> bool:
    """Let HAProxy stop softly; return whether it has ended, or nothing was in flight for a while, within `seconds`.

    Where it can't be asked what is in flight, its own end must tell.
    """
    deadline = time.monotonic() + seconds
    try:
        async with AdminSession(admin_socket) as session:
            haproxy.send(signal.SIGUSR1)
            quiet_since = time.monotonic()
            while haproxy.running and time.monotonic() - quiet_since < QUIET_SECONDS:
                await asyncio.sleep(POLL_SECONDS)
                if await session.in_flight("sagemaker"):
                    quiet_since = time.monotonic()
                if time.monotonic() > deadline:
                    return False
    except (EOFError, OSError):  # it has ended, had not begun to listen, or is stuck
        haproxy.send(signal.SIGUSR1)
        return await haproxy.ends_within(deadline - time.monotonic())
    return True


def _report(process: Process, status: int) -> None:
    logger.error("%s %s; its last lines:", process.name, how_it_ended(status))
    for line in process.last_lines:
        logger.error("  %s", line)


@contextmanager
def _handling(handler: Callable[[signal.Signals], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, handler, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
