"""The terminal: results go to stdout; notes, progress and errors to stderr. Plain text if stderr is not a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.status import Status

from byoc import progress

__all__ = ["PROGRESS", "TerminalProgress", "error", "print_json", "result"]


def _console() -> Console:
    return Console(stderr=True, soft_wrap=True, highlight=False)


def result(text: str) -> None:
    """Print the command's result on stdout, unchanged."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_json(value: object) -> None:
    """Print the command's result as JSON. Values without a JSON type (dates, paths) become strings."""
    result(json.dumps(value, indent=2, default=str))


def error(text: str) -> None:
    """Print a failure on stderr."""
    _console().print(f"byoc: {text}", markup=False, style="red")


class TerminalProgress:
    """Shows progress on stderr: live on a terminal, as lines elsewhere."""

    def note(self, text: str) -> None:
        """Print a line."""
        _console().print(text, markup=False)

    @contextmanager
    def transfers(self) -> Iterator[progress.Transfers]:
        """Show bars on a terminal; elsewhere a line when a transfer begins and when it ends."""
        console = _console()
        if not console.is_terminal:
            yield _TransferLines(self)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
        with Bars(*columns, console=console) as bars:
            yield _TransferBars(bars)

    @contextmanager
    def waiting(self, state: str) -> Iterator[progress.Waiting]:
        """Show a line that is rewritten on a terminal; elsewhere a line for each new state."""
        console = _console()
        if not console.is_terminal:
            lines = _WaitingLines(self)
            lines.show(state, 0)
            yield lines
            return
        with console.status(state) as status:
            yield _WaitingStatus(status)


PROGRESS: progress.Progress = TerminalProgress()


class _TransferLines:
    def __init__(self, notes: TerminalProgress) -> None:
        self._notes = notes

    def begin(self, name: str, total: int | None = None) -> None:
        self._notes.note(f"{name} …")

    def advance(self, name: str, size: int) -> None:
        """Print nothing."""

    def update(self, name: str, completed: int, total: int | None = None) -> None:
        """Print nothing."""

    def end(self, name: str, remark: str = "done") -> None:
        self._notes.note(f"{name}: {remark}")


class _TransferBars:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def begin(self, name: str, total: int | None = None) -> None:
        self._tasks[name] = self._bars.add_task(name, total=total)

    def advance(self, name: str, size: int) -> None:
        self._bars.advance(self._tasks[name], size)

    def update(self, name: str, completed: int, total: int | None = None) -> None:
        self._bars.update(self._tasks[name], completed=completed, total=total)

    def end(self, name: str, remark: str = "done") -> None:
        task = self._tasks[name]
        total = next(shown.total for shown in self._bars.tasks if shown.id == task)
        self._bars.update(task, description=f"{name}: {remark}", completed=total or 1, total=total or 1)


class _WaitingLines:
    def __init__(self, notes: TerminalProgress) -> None:
        self._notes = notes
        self._state = ""

    def show(self, state: str, seconds: float) -> None:
        if state != self._state:
            self._notes.note(_with_time(state, seconds))
        self._state = state


class _WaitingStatus:
    def __init__(self, status: Status) -> None:
        self._status = status

    def show(self, state: str, seconds: float) -> None:
        self._status.update(_with_time(state, seconds))


def _with_time(state: str, seconds: float) -> str:
    """`state (minutes:seconds)`."""
    return f"{state} ({int(seconds) // 60}:{int(seconds) % 60:02d})"
