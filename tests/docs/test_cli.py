"""docs/cli.md says what the commands of `byoc` are."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest
from typer.core import TyperArgument, TyperGroup
from typer.main import get_command

from byoc.commands.app import COMMANDS, Command, assemble
from docs.cli import PAGE, options_of, render
from tests.triton import ROOT

PAGE_TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def group() -> TyperGroup:
    found = get_command(assemble())
    assert isinstance(found, TyperGroup)
    return found


def section(name: str) -> str:
    return PAGE_TEXT.split(f"\n## `byoc {name}`\n")[1].split("\n## ")[0]


def test_page_is_up_to_date() -> None:
    assert render() == PAGE_TEXT, "stale: run `make docs`"


@pytest.mark.parametrize("columns", ["20", "300"])
def test_page_does_not_depend_on_the_terminal(columns: str) -> None:
    environment = {**os.environ, "COLUMNS": columns, "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    code = "import sys; from docs.cli import render; sys.stdout.buffer.write(render().encode())"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert run.stdout.decode() == PAGE_TEXT


def test_every_command_has_a_section(group: TyperGroup) -> None:
    assert re.findall(r"^## `byoc (\w+)`$", PAGE_TEXT, flags=re.MULTILINE) == list(group.commands)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.run.__name__)
def test_section_has_all_there_is(command: Command, group: TyperGroup) -> None:
    text = section(command.run.__name__)
    parameters = group.commands[command.run.__name__].params
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == len(parameters)
    assert all(len(re.findall(r"(?<!\\)\|", row)) in (4, 5) for row in rows)
    assert all(one.metavar for one in parameters if isinstance(one, TyperArgument))
    for option in options_of(group.commands[command.run.__name__]):
        assert option.help, option.name
        assert option.is_flag or option.metavar, option.name
        assert all(f"`{name}`" in text for name in (*option.opts, *option.secondary_opts))
    assert "Exit status 1: " in text
    assert command.example in text


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.run.__name__)
def test_example_is_a_valid_command_line(command: Command, group: TyperGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options and arguments are parsed; the command does not run."""
    monkeypatch.chdir(ROOT)
    program, name, *arguments = shlex.split(command.example)
    assert (program, name) == ("byoc", command.run.__name__)
    context = group.commands[name].make_context(name, arguments)
    assert context.params


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.run.__name__)
def test_help_shows_the_example(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        assemble()([command.run.__name__, "--help"])
    assert command.example in capsys.readouterr().out
