"""Tasks that run beside the requests. The first that fails ends the app, and the supervisor then starts it anew."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from types import TracebackType

__all__ = ["Background", "Shutdown"]

logger = logging.getLogger("serve.app")


class Shutdown:
    """The end of the app, requested by a signal or by a failure.

    Attributes:
        requested: set once the app is to end.
        failed: whether it ends because of a failure.
    """

    def __init__(self) -> None:
        """The app goes on."""
        self.requested = asyncio.Event()
        self.failed = False

    def request(self) -> None:
        """End the app."""
        self.requested.set()

    def fail(self) -> None:
        """End the app because something that it can't do without has failed."""
        self.failed = True
        self.requested.set()


class Background:
    """The tasks, which are cancelled at the end of an `async with` block.

    Args:
        shutdown: ends the app when a task fails.
    """

    def __init__(self, shutdown: Shutdown) -> None:
        """No task runs yet."""
        self._shutdown = shutdown
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Background:
        """Begin; tasks may be started from now on."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel the tasks and wait for their end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self, work: Coroutine[object, None, None]) -> None:
        """Run some work as a task."""
        task = asyncio.create_task(self._run(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, work: Coroutine[object, None, None]) -> None:
        try:
            await work
        except Exception:
            logger.exception("a background task failed, so the app ends")
            self._shutdown.fail()
