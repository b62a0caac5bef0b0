"""Which tenants HAProxy hands to Triton by itself.

A tenant that is not in the map goes to the app, which serves it as well: the map only makes it faster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from serve.front_door.live_map import LiveMap

__all__ = ["TenantMap"]

# What needs no quoting in a path, in a map's file and in a command.
SAFE_NAME = re.compile(r"[0-9A-Za-z._~-]+")


class TenantMap:
    """Tenant → the entry model's name in Triton.

    Args:
        entries: the map, as HAProxy has it.
    """

    def __init__(self, entries: LiveMap) -> None:
        """Keep the map."""
        self._entries = entries

    async def replace(self, tenants: Mapping[str, str]) -> None:
        """Make the map hold just these tenants."""
        await self._entries.replace({name: entry for name, entry in tenants.items() if SAFE_NAME.fullmatch(name)})

    async def add(self, name: str, entry: str) -> None:
        """Let HAProxy hand a tenant's invocations to Triton."""
        if SAFE_NAME.fullmatch(name):
            await self._entries.add(name, entry)

    async def remove(self, name: str) -> None:
        """Let HAProxy hand a tenant's invocations to the app from now on."""
        await self._entries.remove(name)
