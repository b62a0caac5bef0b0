"""What a child prints, forwarded line by line to the container's log."""

from __future__ import annotations

import asyncio
import re
from collections import deque

__all__ = ["LINE_LIMIT", "Output"]

LAST_LINES = 20
LINE_LIMIT = 1024 * 1024  # a longer line is left out, not fatal


class Output:
    """The output of a child.

    Attributes:
        last_lines: the end of what was forwarded.

    Args:
        prefix: what each line begins with.
        log_filter: a pattern of lines that are not forwarded.
    """

    def __init__(self, prefix: str, log_filter: str | None) -> None:
        """Prepare; nothing is read yet."""
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._prefix = prefix
        self._log_filter = log_filter

    async def forward(self, stream: asyncio.StreamReader) -> None:
        """Forward a stream until it ends.

        Args:
            stream: has a limit of `LINE_LIMIT`.
        """
        while line := await _read_line(stream):
            text = line.decode(errors="replace").rstrip()
            if self._log_filter is None or not re.search(self._log_filter, text):
                self.last_lines.append(text)
                print(f"{self._prefix}: {text}", flush=True)  # noqa: T201 (the container's log is standard output)


async def _read_line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than the limit; asyncio has dropped it
        return b"(a line of more than 1 MiB was left out)\n"
