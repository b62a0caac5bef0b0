"""A child process that dies with its parent, and whose output is forwarded line by line."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress

from serve.plan.make import Child

__all__ = ["Process", "exit_status", "how_it_ended", "reap_orphans"]

LAST_LINES = 20
LINE_LIMIT = 1024 * 1024  # a longer line of a child's log is cut, not fatal
EXIT_POLL_SECONDS = 0.02
ORPHANS_SECONDS = 1.0
PR_SET_PDEATHSIG = 1


class Process:
    """A started child.

    Attributes:
        name: what the plan calls it.
        last_lines: the end of what it printed.
    """

    def __init__(self, child: Child, process: asyncio.subprocess.Process) -> None:
        """Wrap a process; use `start`."""
        self.name = child.name
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._process = process
        self._noise = re.compile(child.noise) if child.noise else None
        self._leftovers = child.leftovers
        self._forwarding = asyncio.create_task(self._forward())

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
        if not child.interrupts:
            # A container may forbid it, which costs throughput only; or the child has ended, which `wait` will tell.
            with suppress(PermissionError, ProcessLookupError):
                os.sched_setscheduler(process.pid, os.SCHED_BATCH, os.sched_param(0))
        return cls(child, process)

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
            os.killpg(self._process.pid, signal.SIGKILL)
        await asyncio.wait([self._forwarding], timeout=ORPHANS_SECONDS)
        deadline = time.monotonic() + ORPHANS_SECONDS
        while self._reap_orphans() and time.monotonic() < deadline:  # noqa: ASYNC110 (their ends have no event)
            await asyncio.sleep(EXIT_POLL_SECONDS)
        for path in self._leftovers:
            for left in path.parent.glob(path.name):
                left.unlink(missing_ok=True)
        return status

    async def ends_within(self, seconds: float) -> bool:
        """Wait for its end for a while; return whether it has ended."""
        try:
            await asyncio.wait_for(self.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    async def stop(self, seconds: float, number: signal.Signals = signal.SIGTERM) -> bool:
        """Ask it to end, and kill it when it has not after `seconds`. Return whether it ended by itself."""
        self.send(number)
        if await self.ends_within(seconds):
            return True
        self.send(signal.SIGKILL)
        await self.wait()
        return False

    def _reap_orphans(self) -> bool:
        """Reap the processes of its group whose parent has died, which makes them children of process 1: of ours.

        Return whether there are more that have not ended yet. Its own status is left to asyncio.
        """
        try:
            while ended := os.waitid(os.P_PGID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid == self.pid:
                    break
                os.waitpid(ended.si_pid, os.WNOHANG)
        except ChildProcessError:  # nobody of the group is a child of ours
            return False
        return True

    async def _forward(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # longer than LINE_LIMIT; asyncio has dropped it
                line = b"(a line of more than 1 MiB was left out)\n"
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            if self._noise and self._noise.search(text):
                continue
            self.last_lines.append(text)
            print(f"{self.name}: {text}", flush=True)  # noqa: T201 (the container's log is standard output)


def reap_orphans(children: Collection[int]) -> None:
    """Reap the processes that have become children of ours because their parents died, as process 1 has to.

    Args:
        children: process ids whose statuses are left to asyncio.
    """
    try:
        # Others wait behind one of asyncio's that has just ended: until the next time.
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid not in children:
            os.waitpid(ended.si_pid, os.WNOHANG)
    except ChildProcessError:  # there are none
        return


def exit_status(status: int) -> int:
    """Return the status that a parent should end with, given a child's: 128 + n for signal n, never 0."""
    return 128 - status if status < 0 else status or 1


def how_it_ended(status: int) -> str:
    """Say in words how a process ended."""
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def _die_with_parent() -> Callable[[], None]:
    """Return what the child runs before exec: the kernel then kills it when its parent dies, however that happens."""
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here: after fork only async-signal-safe work is allowed

    def ask_kernel() -> None:
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            sys.stderr.write("prctl(PR_SET_PDEATHSIG) failed: this process will outlive its parent\n")

    return ask_kernel
