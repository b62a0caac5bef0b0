"""What the library reports while it works: notes, transfers and waits.

Functions that take long accept a `Progress`. The default, `SILENT`, reports nothing; `byoc.commands.terminal` shows it
on a terminal.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

__all__ = ["SILENT", "Progress", "Silent", "Transfers", "Waiting"]


class Transfers(Protocol):
    """A group of named transfers, in bytes. Its methods may be called from several threads."""

    def begin(self, name: str, total: int | None = None) -> None:
        """A transfer of `total` bytes begins; None: the size is not known yet."""

    def advance(self, name: str, size: int) -> None:
        """`size` more bytes were transferred."""

    def update(self, name: str, completed: int, total: int | None = None) -> None:
        """`completed` of `total` bytes were transferred so far."""

    def end(self, name: str, remark: str = "done") -> None:
        """The transfer is complete."""


class Waiting(Protocol):
    """Something that is being waited for."""

    def show(self, state: str, seconds: float) -> None:
        """The current state, `seconds` after the wait began."""


class Progress(Protocol):
    """Receives the progress of a long operation."""

    def note(self, text: str) -> None:
        """Something happened that the user should know."""

    def transfers(self) -> AbstractContextManager[Transfers]:
        """Report transfers within the block."""

    def waiting(self, state: str) -> AbstractContextManager[Waiting]:
        """Report a wait within the block; `state` says what for."""


class Silent:
    """Reports nothing: a `Progress`, and the `Transfers` and `Waiting` that it gives."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def transfers(self) -> AbstractContextManager[Transfers]:
        """A context that reports nothing."""
        return nullcontext(self)

    def waiting(self, state: str) -> AbstractContextManager[Waiting]:
        """A context that reports nothing."""
        return nullcontext(self)

    def begin(self, name: str, total: int | None = None) -> None:
        """Do nothing."""

    def advance(self, name: str, size: int) -> None:
        """Do nothing."""

    def update(self, name: str, completed: int, total: int | None = None) -> None:
        """Do nothing."""

    def end(self, name: str, remark: str = "done") -> None:
        """Do nothing."""

    def show(self, state: str, seconds: float) -> None:
        """Do nothing."""


SILENT: Progress = Silent()
