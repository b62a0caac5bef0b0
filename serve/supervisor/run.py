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

from serve import sagemaker
from serve.plan.values import Child, EndsEndpoint, Plan, Restarts, Role
from serve.supervisor.drain import STOP_SECONDS, drain
from serve.supervisor.orphans import reap_orphans
from serve.supervisor.process import Process, describe_status, exit_status

__all__ = ["supervise"]

logger = logging.getLogger("serve")

# Just before SageMaker sends SIGKILL. What the drain leaves of it is for tritonserver to unload its models.
END_SECONDS = sagemaker.STOP_SECONDS - 1

# A child that keeps dying is not mended by starting it once more.
RESTARTS = 5
RESTART_WINDOW_SECONDS = 60
RESTART_DELAY_SECONDS = 0.2

REAP_SECONDS = 1


def supervise(plan: Plan) -> int:
    """Run a plan until it is told to stop or a child's end is the end; return the exit status.

    0: stopped by SIGTERM or SIGINT, everything in flight was answered. 1: the drain ended before everything was, or
    HAProxy or the app could not be kept alive. Otherwise tritonserver's own status, 128 + n for signal n.
    """
    return asyncio.run(_Supervisor(plan).run())


class _Supervisor:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._processes: dict[Role, Process] = {}
        self._ending = asyncio.Event()
        self._failure: int | None = None
        self._starting = 0

    async def run(self) -> int:
        self._write_files()
        with _handling(self._told_to_stop):
            watchers = [asyncio.create_task(self._watch(child)) for child in self._plan.children]
            reaper = asyncio.create_task(self._reap_orphans())
            await self._ending.wait()
            deadline = time.monotonic() + END_SECONDS
            answered = self._failure is not None or await self._drain()
            await self._stop_all(deadline)
            await asyncio.gather(*watchers)
            reaper.cancel()
        if self._failure is not None:
            return self._failure
        return 0 if answered else 1

    def _write_files(self) -> None:
        for directory in self._plan.directories:
            directory.mkdir(parents=True, exist_ok=True)
        for path, content in self._plan.files.items():
            path.write_text(content, encoding="utf-8")

    def _told_to_stop(self, number: signal.Signals) -> None:
        if not self._ending.is_set():
            logger.info("%s: finishing requests in flight (up to %d s)", number.name, self._plan.drain_seconds)
        self._ending.set()

    def _fail(self, status: int) -> None:
        if self._failure is None:
            self._failure = status
        self._ending.set()

    async def _watch(self, child: Child) -> None:
        """Keep a child running until the end begins, or its own end is the end."""
        deaths: deque[float] = deque(maxlen=RESTARTS)
        while not self._ending.is_set():
            if (process := await self._start(child)) is None:
                return
            if deaths:
                self._tell_of_restart(child.when_it_ends)
            status = await process.wait()
            if self._ending.is_set():
                return
            _report(process, status)
            deaths.append(time.monotonic())
            if (failure := _failure(child, status, deaths)) is not None:
                self._fail(failure)
                return
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ending.wait(), RESTART_DELAY_SECONDS)

    async def _start(self, child: Child) -> Process | None:
        """Start a child; None if it can't be started, or the end has begun meanwhile."""
        self._starting += 1
        try:
            process = self._processes[child.role] = await Process.start(child)
        except OSError as error:
            logger.error("can't start %s: %s: %s", child.role, child.arguments[0], error.strerror)
            self._fail(1)
            return None
        finally:
            self._starting -= 1
        if self._ending.is_set():
            await process.stop(STOP_SECONDS)
            return None
        return process

    def _tell_of_restart(self, policy: EndsEndpoint | Restarts) -> None:
        """Let another child know that this one was started again, and has lost what it held."""
        if isinstance(policy, Restarts) and policy.tells is not None and policy.tells in self._processes:
            self._processes[policy.tells].send(signal.SIGHUP)

    async def _reap_orphans(self) -> None:
        """As process 1, reap what processes leave behind whose parents die, such as those of `docker exec`."""
        while os.getpid() == 1:
            await asyncio.sleep(REAP_SECONDS)
            if not self._starting:  # whose process id is not known yet
                reap_orphans([process.pid for process in self._processes.values()])

    async def _drain(self) -> bool:
        """Stop accepting and finish what is in flight; return whether all of it was answered."""
        seconds = self._plan.drain_seconds
        answered = all([await drain(process, seconds) for process in self._processes.values()])
        if not answered:
            logger.warning("requests still in flight after %d s were cut off", seconds)
        return answered

    async def _stop_all(self, deadline: float) -> None:
        """Stop what still runs, the front door first, tritonserver last."""
        for child in reversed(self._plan.children):
            process = self._processes.get(child.role)
            if process is None or not process.running:
                continue
            seconds = max(1.0, deadline - time.monotonic()) if child.unloads else STOP_SECONDS
            if not await process.stop(seconds):
                logger.warning("%s did not exit within %.0f s and was killed", child.role, seconds)


def _failure(child: Child, status: int, deaths: deque[float]) -> int | None:
    """Return the status that the endpoint ends with because a child has ended; None if the child is started again."""
    policy = child.when_it_ends
    if isinstance(policy, EndsEndpoint):
        return exit_status(status)
    if len(deaths) < RESTARTS or deaths[-1] - deaths[0] >= RESTART_WINDOW_SECONDS:
        return None
    logger.error("%s died %d times within %d s: giving up", child.role, RESTARTS, RESTART_WINDOW_SECONDS)
    return exit_status(status) if policy.own_status else 1


def _report(process: Process, status: int) -> None:
    logger.error("%s %s; last output:", process.child.role, describe_status(status))
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
