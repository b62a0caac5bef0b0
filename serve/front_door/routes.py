"""Which tenants HAProxy hands to Triton by itself, kept up to date while it runs.

The table is a file, which HAProxy reads when it starts, and a copy in HAProxy's memory, which is changed by commands.
A tenant that is not in the table goes to the app, which serves it as well: the table is for speed only.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable
from pathlib import Path

from serve.front_door.admin import AdminSession

__all__ = ["OUT_OF_MEMORY_KEY", "Routes"]

logger = logging.getLogger("serve.app")

# A key of the table that no tenant can have: present while a process was recently killed for lack of memory.
OUT_OF_MEMORY_KEY = "/out-of-memory"

SAFE_NAME = re.compile(r"[0-9A-Za-z._~-]+")

RETRY_SECONDS = 0.2


class Routes:
    """The table of tenants.

    Args:
        table: the file.
        admin_socket: HAProxy's command socket; None without HAProxy: nothing is kept then.
    """

    def __init__(self, table: Path, admin_socket: Path | None) -> None:
        """Start with an empty table; HAProxy hears of it with the first change."""
        self._table = table
        self._admin_socket = admin_socket
        self._routes: dict[str, str] = {}
        self._lock = asyncio.Lock()
        self._resync: asyncio.Task[None] | None = None

    async def replace(self, routes: dict[str, str]) -> None:
        """Make the table hold just these tenants: name → entry model in Triton."""
        self._routes = {name: entry for name, entry in routes.items() if SAFE_NAME.fullmatch(name)}
        await self._tell(["clear map {table}", *(f"add map {{table}} {k} {v}" for k, v in self._routes.items())])

    async def add(self, name: str, entry: str) -> None:
        """Let HAProxy hand a tenant's invocations to a model of Triton's."""
        if SAFE_NAME.fullmatch(name) or name == OUT_OF_MEMORY_KEY:
            self._routes[name] = entry
            await self._tell([f"add map {{table}} {name} {entry}"])

    async def remove(self, name: str) -> None:
        """Let HAProxy hand a tenant's invocations to the app from now on."""
        if self._routes.pop(name, None) is not None:
            await self._tell([f"del map {{table}} {name}"])

    async def _tell(self, commands: Iterable[str]) -> None:
        if self._admin_socket is None:
            return
        async with self._lock:
            self._table.write_text("".join(f"{name} {entry}\n" for name, entry in self._routes.items()))
            try:
                async with AdminSession(self._admin_socket) as session:
                    for command in commands:
                        await session.command(command.format(table=self._table))
            except (OSError, EOFError):  # it is being restarted, and may have read the file before it was written
                if self._resync is None or self._resync.done():
                    self._resync = asyncio.create_task(self._repeat())

    async def _repeat(self) -> None:
        await asyncio.sleep(RETRY_SECONDS)
        self._resync = None
        await self.replace(dict(self._routes))
