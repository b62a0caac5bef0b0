"""Output on a terminal and in a pipe."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from byoc.commands import terminal
from byoc.commands.terminal import PROGRESS
from byoc.errors import ByocError


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal whose output the test reads."""
    shown = io.StringIO()
    monkeypatch.setattr(terminal, "_console", lambda: Console(file=shown, force_terminal=True, width=100))
    return shown


def await_text(screen: io.StringIO, text: str) -> None:
    """Rich redraws several times a second, in its own thread."""
    deadline = time.monotonic() + 10
    while text not in screen.getvalue():
        assert time.monotonic() < deadline, screen.getvalue()
        time.sleep(0.01)


def test_transfers_are_bars_on_a_terminal(screen: io.StringIO) -> None:
    with PROGRESS.transfers() as shown:
        shown.begin("a", 2_000_000)
        shown.advance("a", 1_000_000)
        shown.begin("b")
        shown.update("b", 3, 4)
        shown.end("a", "uploaded")
    assert "a: uploaded" in screen.getvalue()
    assert "2.0/2.0 MB" in screen.getvalue()
    assert "3/4 bytes" in screen.getvalue()


def test_transfers_are_lines_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with PROGRESS.transfers() as shown:
        shown.begin("a", 2)
        shown.advance("a", 1)
        shown.end("a")
    assert capsys.readouterr() == ("", "a …\na: done\n")


def test_waiting_is_one_line_on_a_terminal(screen: io.StringIO) -> None:
    with PROGRESS.waiting("x") as line:
        line.show("x: Creating", 125)
        await_text(screen, "x: Creating (2:05)")
        assert "\n" not in screen.getvalue()


def test_waiting_prints_each_state_once_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with PROGRESS.waiting("x") as line:
        for seconds, state in enumerate(["Creating", "Creating", "InService"]):
            line.show(state, 60 * seconds)
    assert capsys.readouterr().err.splitlines() == ["x (0:00)", "Creating (0:00)", "InService (2:00)"]


def test_results_are_plain_text_and_all_else_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.result("[bold]x[/bold]")
    PROGRESS.note("[red]y[/red] " + "long " * 50)
    terminal.error("z")
    out, err = capsys.readouterr()
    assert out == "[bold]x[/bold]\n"
    assert err == "[red]y[/red] " + "long " * 50 + "\nbyoc: z\n"


def test_json_has_a_string_for_what_it_has_no_type_for(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_json({"path": Path("x")})
    assert capsys.readouterr().out == '{\n  "path": "x"\n}\n'


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ByocError("a"), "a"),
        (ByocError("a.", "Do b."), "a. Do b."),
        (ByocError("a\n  tree", "Do b."), "a\n  tree\nDo b."),
    ],
)
def test_errors_are_message_and_remedy(error: ByocError, text: str) -> None:
    assert str(error) == text


def test_help_on_a_real_terminal() -> None:
    """Colours on a terminal, none in a pipe."""
    command = [sys.executable, "-m", "byoc", "deploy", "--help"]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    outer, inner = pty.openpty()
    shown = b""
    with os.fdopen(outer, "rb", buffering=0) as screen, subprocess.Popen(command, stdout=inner, env=environment):
        os.close(inner)
        with contextlib.suppress(OSError):  # how Linux says that nobody writes to a terminal any more
            while part := screen.read(4096):
                shown += part
    piped = subprocess.run(command, capture_output=True, env=environment, check=True).stdout
    assert (b"\x1b[" in shown, b"\x1b[" in piped) == (True, False)
