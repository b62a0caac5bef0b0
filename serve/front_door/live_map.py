"""A map of HAProxy's that is changed while HAProxy runs.

A map is a file, which HAProxy reads when it starts, and a copy in HAProxy's memory, which is changed by commands.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from serve.front_door.admin import ANSWER_SECONDS, AdminSession

__all__ = ["HAProxyMap", "LiveMap", "NoMap"]

logger = logging.getLogger("serve.app")

RETRY_SECONDS = 0.2

Change = Callable[[AdminSession], Awaitable[object]]


class LiveMap(Protocol):
    """A map that can be changed. Keys and values are words without white space."""

    async def replace(self, entries: Mapping[str, str]) -> None:
        """Make the map hold just these entries."""

    async def add(self, key: str, value: str) -> None:
        """Add an entry, or change its value."""

    async def remove(self, key: str) -> None:
        """Remove an entry, if it is there."""


class NoMap:
    """The map of an endpoint without HAProxy: nobody reads it, so nothing is kept."""

    async def replace(self, entries: Mapping[str, str]) -> None:
        """Do nothing."""

    async def add(self, key: str, value: str) -> None:
        """Do nothing."""

    async def remove(self, key: str) -> None:
        """Do nothing."""


class HAProxyMap:
    """A map of a running HAProxy. While HAProxy can't be reached, changes are kept and sent as soon as it can.

    Args:
        path: the map's file, by which HAProxy knows it.
        admin_socket: HAProxy's command socket.
        answer_seconds: how long HAProxy may take to answer a command.
    """

    def __init__(self, path: Path, admin_socket: Path, answer_seconds: float = ANSWER_SECONDS) -> None:
        """Start empty; HAProxy hears of it with the first change."""
        self._path = path
        self._admin_socket = admin_socket
        self._answer_seconds = answer_seconds
        self._entries: dict[str, str] = {}
        self._lock = asyncio.Lock()
        self._catching_up: asyncio.Task[None] | None = None

    async def replace(self, entries: Mapping[str, str]) -> None:
        """Make the map hold just these entries. Entries that stay are in it all the time."""
        self._entries = dict(entries)
        await self._send(partial(self._replace_in_memory, dict(entries)))

    async def add(self, key: str, value: str) -> None:
        """Add an entry, or change its value."""
        command = (
            f"set map {self._path} {key} {value}" if key in self._entries else f"add map {self._path} {key} {value}"
        )
        self._entries[key] = value
        await self._send(lambda session: session.command(command))

    async def remove(self, key: str) -> None:
        """Remove an entry, if it is there."""
        if self._entries.pop(key, None) is not None:
            await self._send(lambda session: session.command(f"del map {self._path} {key}"))

    async def _send(self, change: Change) -> None:
        """Bring a change to the file and to HAProxy; what fails is tried again, in full, while others go on."""
        if self._catching_up is not None:
            return
        async with self._lock:
            if self._catching_up is None and not await self._succeeds(change):
                self._catching_up = asyncio.create_task(self._catch_up())

    async def _succeeds(self, change: Change) -> bool:
        written = self._write()
        try:
            async with AdminSession(self._admin_socket, self._answer_seconds) as session:
                await change(session)
        except (OSError, EOFError):  # it is being restarted, and may have read the file before it was written
            return False
        return written

    def _write(self) -> bool:
        """Replace the file; return whether that succeeded. HAProxy never finds half of it."""
        draft = self._path.with_suffix(".new")
        try:
            draft.write_text("".join(f"{key} {value}\n" for key, value in self._entries.items()))
            draft.replace(self._path)
        except OSError as error:  # unloading, which makes room on a full disk, must not fail because of it
            if self._catching_up is None:
                logger.warning("HAProxy's map %s can't be written, trying again: %s", self._path, error)
            return False
        return True

    async def _replace_in_memory(self, entries: Mapping[str, str], session: AdminSession) -> None:
        version = (await session.command(f"prepare map {self._path}")).rpartition(": ")[2].strip()
        for key, value in entries.items():
            await session.command(f"add map @{version} {self._path} {key} {value}")
        await session.command(f"commit map @{version} {self._path}")

    async def _catch_up(self) -> None:
        sent = None
        while sent != self._entries:
            await asyncio.sleep(RETRY_SECONDS)
            entries = dict(self._entries)
            if await self._succeeds(partial(self._replace_in_memory, entries)):
                sent = entries
        self._catching_up = None
