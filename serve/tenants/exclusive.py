"""One operation at a time for each tenant, and none while tenants are being recovered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from serve.triton.control import ControlError, Deadline

__all__ = ["Exclusive"]


class Exclusive:
    """One exclusive lock for each tenant.

    A load waits for an unload of the same tenant and the other way round. Different tenants never wait for each other.

    Attributes:
        recovered: set while no recovery is under way. Loads and unloads wait for it.
    """

    def __init__(self) -> None:
        """No recovery has been done yet, so every operation waits for the first."""
        self.recovered = asyncio.Event()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._recovery = asyncio.Lock()

    @asynccontextmanager
    async def tenant(self, name: str, seconds: float) -> AsyncIterator[Deadline]:
        """Wait until nothing else happens to a tenant and no recovery is under way, and keep it so within the block.

        Yields:
            The deadline of an operation that was requested now and may take so many seconds.

        Raises:
            ControlError: the time is already up.
        """
        deadline = Deadline(seconds)
        while True:
            await self.recovered.wait()
            async with self._lock(name):
                if not self.recovered.is_set():
                    continue
                if not deadline.left():
                    raise ControlError(f"{name!r} was still being loaded or unloaded after {seconds:.0f} s: try again")
                yield deadline
                return

    @asynccontextmanager
    async def recovery(self) -> AsyncIterator[None]:
        """Wait until nothing happens to any tenant, and keep it so within the block.

        If the block fails, nothing counts as recovered.
        """
        async with self._recovery:
            self.recovered.clear()
            for lock in list(self._locks.values()):
                async with lock:  # if tritonserver has gone, whatever is under way fails by itself
                    pass
            yield
            self.recovered.set()

    def _lock(self, name: str) -> asyncio.Lock:
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock
