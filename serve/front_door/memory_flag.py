"""Tells HAProxy that the kernel has just killed a process for lack of memory.

HAProxy then answers 507 instead of 500 where a model's process has died: SageMaker unloads other models on a 507.
"""

from __future__ import annotations

from serve.front_door.live_map import LiveMap

__all__ = ["KEY", "MemoryFlag"]

KEY = "killed"


class MemoryFlag:
    """A flag that HAProxy looks at.

    Args:
        entries: a map of its own, in which `KEY` is present while the flag is set.
    """

    def __init__(self, entries: LiveMap) -> None:
        """Keep the map; the flag is not set."""
        self._entries = entries

    async def set(self) -> None:
        """Set the flag."""
        await self._entries.add(KEY, "recently")

    async def clear(self) -> None:
        """Clear the flag."""
        await self._entries.remove(KEY)
