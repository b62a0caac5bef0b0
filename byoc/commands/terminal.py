"""What the user sees: results on stdout, everything else on stderr, plain where stderr is no terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.status import Status

__all__ = ["Transfers", "Waiting", "error", "note", "print_json", "result", "transfers", "waiting"]


def _console() -> Console:
    return Console(stderr=True, soft_wrap=True, highlight=False)


def result(text: str) -> None:
    """Print what the command was asked for, on stdout, as it is."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_json(value: object) -> None:
    """Print `value` as the command's result in JSON; what JSON has no type for (dates, paths) as its string."""
    result(json.dumps(value, indent=2, default=str))


def note(text: str) -> None:
    """Tell the user, on stderr, what is going on."""
    _console().print(text, markup=False)


def error(text: str) -> None:
    """Print one failure on stderr."""
    _console().print(f"byoc: {text}", markup=False, style="red")


class Transfers:
    """The progress of named transfers, in bytes: bars on a terminal, else a line when each begins and ends."""

    def __init__(self, progress: Progress | None) -> None:
        """None: stderr is no terminal."""
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def begin(self, name: str, total: int | None = None) -> None:
        """Show a transfer of `total` bytes; None if the size is not known yet."""
        if self._progress is None:
            note(f"{name} …")
        else:
            self._tasks[name] = self._progress.add_task(name, total=total)

    def advance(self, name: str, size: int) -> None:
        """`size` more bytes of the transfer are done."""
        if self._progress is not None:
            self._progress.advance(self._tasks[name], size)

    def update(self, name: str, completed: int, total: int | None = None) -> None:
        """`completed` of `total` bytes of the transfer are done."""
        if self._progress is not None:
            self._progress.update(self._tasks[name], completed=completed, total=total)

    def end(self, name: str, remark: str = "done") -> None:
        """The transfer is over."""
        if self._progress is None:
            note(f"{name}: {remark}")
            return
        task = self._tasks[name]
        total = next(shown.total for shown in self._progress.tasks if shown.id == task)
        self._progress.update(task, description=f"{name}: {remark}", completed=total or 1, total=total or 1)


@contextmanager
def transfers() -> Iterator[Transfers]:
    """Show the transfers that run within the block."""
    console = _console()
    if not console.is_terminal:
        yield Transfers(None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield Transfers(progress)


class Waiting:
    """One line that says what is waited for: rewritten on a terminal, else printed whenever `state` is a new one."""

    def __init__(self, status: Status | None) -> None:
        """None: stderr is no terminal."""
        self._status = status
        self._state = ""

    def show(self, state: str, seconds: float) -> None:
        """Show `state` and the time since the wait began, in seconds."""
        text = f"{state} ({int(seconds) // 60}:{int(seconds) % 60:02d})"
        if self._status is not None:
            self._status.update(text)
        elif state != self._state:
            note(text)
        self._state = state


@contextmanager
def waiting(state: str) -> Iterator[Waiting]:
    """Show what is waited for within the block."""
    console = _console()
    if not console.is_terminal:
        shown = Waiting(None)
        shown.show(state, 0)
        yield shown
        return
    with console.status(state) as status:
        yield Waiting(status)
