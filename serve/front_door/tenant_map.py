"""Which tenants HAProxy hands to Triton by itself, kept up to date while it runs.

The table is a file, which HAProxy reads when it starts, and a copy in HAProxy's memory, which is changed by commands.
A tenant that is not in the table goes to the app, which serves it as well: the table is for speed only.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from serve.front_door.admin import AdminSession

__all__ = ["OUT_OF_MEMORY_KEY", "Routes"]

logger = logging.getLogger("serve.app")

# A key of the table that no tenant can have: present while a process was recently killed for lack of memory.
OUT_OF_MEMORY_KEY = "/out-of-memory"

SAFE_NAME = re.compile(r"[0-9A-Za-z._~-]+")

RETRY_SECONDS = 0.2

Change = Callable[[AdminSession], Awaitable[object]]


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
        self._catching_up: asyncio.Task[None] | None = None

    async def replace(self, routes: dict[str, str]) -> None:
        """Make the table hold just these tenants: name → entry model in Triton."""
        mark = {key: value for key, value in self._routes.items() if key == OUT_OF_MEMORY_KEY}
        self._routes = mark | {name: entry for name, entry in routes.items() if SAFE_NAME.fullmatch(name)}
        await self._tell(partial(self._send_all, dict(self._routes)))

    async def add(self, name: str, entry: str) -> None:
        """Let HAProxy hand a tenant's invocations to a model of Triton's."""
        if SAFE_NAME.fullmatch(name) or name == OUT_OF_MEMORY_KEY:
            self._routes[name] = entry
            await self._tell(lambda session: session.command(f"add map {self._table} {name} {entry}"))

    async def remove(self, name: str) -> None:
        """Let HAProxy hand a tenant's invocations to the app from now on."""
        if self._routes.pop(name, None) is not None:
            await self._tell(lambda session: session.command(f"del map {self._table} {name}"))

    async def _tell(self, change: Change) -> None:
        """Bring a change to the file and to HAProxy; what fails is tried again, in full, while others go on."""
        if self._admin_socket is None or self._catching_up is not None:
            return
        async with self._lock:
            if self._catching_up is None and not await self._succeeds(change):
                self._catching_up = asyncio.create_task(self._catch_up())

    async def _succeeds(self, change: Change) -> bool:
        written = self._write()
        try:
            async with AdminSession(Path(str(self._admin_socket))) as session:
                await change(session)
        except (OSError, EOFError):  # it is being restarted, and may have read the file before it was written
            return False
        return written

    def _write(self) -> bool:
        """Replace the file; return whether that went well. HAProxy never finds half of it."""
        draft = self._table.with_suffix(".new")
        try:
            draft.write_text("".join(f"{name} {entry}\n" for name, entry in self._routes.items()))
            draft.replace(self._table)
        except OSError as error:  # unloading, which makes room on a full disk, must not fail for it
            if self._catching_up is None:
                logger.warning("the table of tenants can't be written: %s", error)
            return False
        return True

    async def _send_all(self, routes: dict[str, str], session: AdminSession) -> None:
        """Replace HAProxy's copy at once: a tenant that stays in the table is in it all the time."""
        version = (await session.command(f"prepare map {self._table}")).rpartition(": ")[2].strip()
        for name, entry in routes.items():
            await session.command(f"add map @{version} {self._table} {name} {entry}")
        await session.command(f"commit map @{version} {self._table}")

    async def _catch_up(self) -> None:
        wanted = None
        while wanted != self._routes:
            await asyncio.sleep(RETRY_SECONDS)
            routes = dict(self._routes)
            if await self._succeeds(partial(self._send_all, routes)):
                wanted = routes
        self._catching_up = None
