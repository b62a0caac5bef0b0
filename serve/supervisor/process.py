"""A child process that dies with its parent."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress

from serve.plan.values import Child
from serve.supervisor.orphans import reap_orphans
from serve.supervisor.output import LINE_LIMIT, Output

__all__ = ["Process", "describe_status", "exit_status"]

EXIT_POLL_SECONDS = 0.02
ORPHANS_SECONDS = 1.0
PR_SET_PDEATHSIG = 1


class Process:
    """A started child.

    Args:
        child: what the plan says of it.
        process: the process.
        output: what it prints.
        forwarding: the task that forwards that.
    """

    def __init__(
        self, child: Child, process: asyncio.subprocess.Process, output: Output, forwarding: asyncio.Task[None]
    ) -> None:
        """Keep them; use `start`."""
        self.child = child
        self._process = process
        self._output = output
        self._forwarding = forwarding

    @classmethod
    async def start(cls, child: Child) -> Process:
        """Start a child in a session of its own, so that Ctrl-C reaches the parent only.

        Raises:
            OSError: the program can't be started.
        """
        process = await asyncio.create_subprocess_exec(
            *child.arguments,
            env=child.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
            limit=LINE_LIMIT,
        )
        if child.sched_batch:
            # A container may forbid it, which costs throughput only; or the child has ended, which `wait` will tell.
            with suppress(PermissionError, ProcessLookupError):
                os.sched_setscheduler(process.pid, os.SCHED_BATCH, os.sched_param(0))
        output = Output(child.role, child.log_filter)
        return cls(child, process, output, asyncio.create_task(output.forward(_pipe(process))))

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Tell whether it has not ended yet."""
        return self._process.returncode is None

    @property
    def status(self) -> int | None:
        """Return its status, negative for a signal, or None while it runs."""
        return self._process.returncode

    @property
    def last_lines(self) -> Collection[str]:
        """Return the end of what it printed."""
        return self._output.last_lines

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.running:
            self._process.send_signal(number)

    async def wait(self) -> int:
        """Wait for its end and for its last output; return its status, negative for a signal."""
        # asyncio's own wait() goes on until nobody holds the pipe any more, which a model's process may do for ever.
        while (status := self._process.returncode) is None:
            self._reap_orphans()
            await asyncio.sleep(EXIT_POLL_SECONDS)
        # The processes of Triton's Python models outlive a tritonserver that is killed, and go on to hold their memory.
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        await asyncio.wait([self._forwarding], timeout=ORPHANS_SECONDS)
        deadline = time.monotonic() + ORPHANS_SECONDS
        while self._reap_orphans() and time.monotonic() < deadline:  # noqa: ASYNC110 (their ends have no event)
            await asyncio.sleep(EXIT_POLL_SECONDS)
        self._clean_up()
        return status

    async def ends_within(self, seconds: float) -> bool:
        """Wait for its end for a while; return whether it has ended."""
        try:
            await asyncio.wait_for(self.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    async def stop(self, seconds: float) -> bool:
        """Ask it to end, and kill it when it has not after `seconds`. Return whether it ended by itself."""
        self.send(signal.SIGTERM)
        if await self.ends_within(seconds):
            return True
        self.send(signal.SIGKILL)
        await self.wait()
        return False

    def _reap_orphans(self) -> bool:
        """Reap what it started and left behind; return whether there is more that has not ended."""
        return reap_orphans([self.pid], group=self.pid)

    def _clean_up(self) -> None:
        for pattern in self.child.cleanup_globs:
            for path in pattern.parent.glob(pattern.name):
                path.unlink(missing_ok=True)


def exit_status(status: int) -> int:
    """Return the status that a parent should end with, given a child's: 128 + n for signal n, never 0."""
    return 128 - status if status < 0 else status or 1


def describe_status(status: int) -> str:
    """Return how a process ended."""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"exited with status {status}"


def _pipe(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise RuntimeError("the child was started without a pipe")
    return process.stdout


def _die_with_parent() -> Callable[[], None]:
    """Return what the child runs before exec: the kernel then kills it when its parent dies, however that happens."""
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here: after fork only async-signal-safe work is allowed

    def ask_kernel() -> None:
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            sys.stderr.write("prctl(PR_SET_PDEATHSIG) failed: this process will outlive its parent\n")

    return ask_kernel
