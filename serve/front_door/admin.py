"""HAProxy's command socket, for what a supervisor must know while HAProxy stops."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType

__all__ = ["AdminSession"]

PROMPT = b"\n> "


class AdminSession:
    """An open session on the command socket.

    HAProxy closes the socket when it starts to stop, but goes on to serve the sessions that are open: enter this
    context before SIGUSR1 to be able to look while it drains.
    """

    def __init__(self, socket: Path) -> None:
        """Name the socket; the connection is made on entering the context."""
        self._path = socket

    async def __aenter__(self) -> AdminSession:
        """Connect.

        Raises:
            OSError: HAProxy does not listen.
        """
        self._reader, self._writer = await asyncio.open_unix_connection(str(self._path))
        await self.command("prompt")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._writer.close()

    async def in_flight(self, frontend: str) -> int:
        """Return the number of requests that a frontend has begun to read and not yet answered.

        Idle connections are not counted.

        Raises:
            EOFError, OSError: HAProxy has ended.
        """
        sessions = await self.command("show sess")
        return sum(f" fe={frontend} " in line for line in sessions.splitlines())

    async def command(self, text: str) -> str:
        """Send a command and return its answer.

        Raises:
            EOFError, OSError: HAProxy has ended.
        """
        self._writer.write(text.encode() + b"\n")
        await self._writer.drain()
        return (await self._reader.readuntil(PROMPT)).decode()
