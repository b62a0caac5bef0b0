"""HAProxy's command socket, for what a supervisor must know while HAProxy stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

__all__ = ["ANSWER_SECONDS", "AdminSession"]

T = TypeVar("T")

PROMPT = b"\n> "
CHUNK_BYTES = 64 * 1024

# HAProxy answers within milliseconds, however many requests are in flight.
ANSWER_SECONDS = 5.0


class AdminSession:
    """An open session on the command socket.

    HAProxy closes the socket when it starts to stop, but goes on to serve the sessions that are open: enter this
    context before SIGUSR1 to be able to look while it drains.

    Args:
        socket: the command socket.
        answer_seconds: how long HAProxy may take to accept the connection, and to answer a command.
    """

    def __init__(self, socket: Path, answer_seconds: float = ANSWER_SECONDS) -> None:
        """Name the socket; the connection is made on entering the context."""
        self._path = socket
        self._answer_seconds = answer_seconds

    async def __aenter__(self) -> AdminSession:
        """Connect.

        Raises:
            EOFError, OSError: HAProxy does not listen, or does not answer.
        """
        self._reader, self._writer = await self._in_time(asyncio.open_unix_connection(str(self._path)))
        try:
            await self.command("prompt")
        except BaseException:
            self._writer.close()
            raise
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
            EOFError, OSError: HAProxy has ended, or does not answer.
        """
        sessions = await self.command("show sess")
        return sum(f" fe={frontend} " in line for line in sessions.splitlines())

    async def command(self, text: str) -> str:
        """Send a command and return its answer.

        Raises:
            EOFError, OSError: HAProxy has ended, or does not answer.
        """
        return await self._in_time(self._exchange(text))

    async def _exchange(self, text: str) -> str:
        self._writer.write(text.encode() + b"\n")
        await self._writer.drain()
        answer = bytearray()  # not readuntil(): its limit is less than a few hundred sessions take
        while not answer.endswith(PROMPT):
            if not (chunk := await self._reader.read(CHUNK_BYTES)):
                raise EOFError(f"HAProxy ended within its answer to {text!r}")
            answer += chunk
        return answer.removesuffix(PROMPT).decode()

    async def _in_time(self, answer: Awaitable[T]) -> T:
        try:
            return await asyncio.wait_for(answer, self._answer_seconds)
        except asyncio.TimeoutError:  # before Python 3.11 that is no OSError
            raise TimeoutError(f"HAProxy did not answer within {self._answer_seconds:g} s") from None
