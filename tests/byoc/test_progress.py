"""Library code reports through a `Progress` that it is given: only `byoc.commands` writes to the terminal."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from byoc.commands.terminal import TerminalProgress
from byoc.progress import SILENT, Progress
from tests.triton import ROOT

PACKAGE = ROOT / "byoc"
FRONT_END = {"typer", "click", "rich", "byoc.commands"}
LIBRARY = sorted(
    path for path in PACKAGE.rglob("*.py") if path.name != "__main__.py" and PACKAGE / "commands" not in path.parents
)


def violations(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"imports {alias.name}" for alias in node.names if is_front_end(alias.name))
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (f"imports {name}" for name in names if is_front_end(name))
            yield from (f"imports {name}" for name in names if name in ("sys.stdout", "sys.stderr", "builtins.print"))
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr"):
            yield f"uses {ast.unparse(node)}"
        elif isinstance(node, ast.Name) and node.id in ("print", "input"):
            yield f"uses {node.id}"


def is_front_end(name: str) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in FRONT_END)


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_library_code_does_not_write_to_the_terminal(path: Path) -> None:
    assert list(violations(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    "code",
    [
        "print(1)",
        "import sys\nsys.stderr.write('x')",
        "from sys import stdout",
        "import typer",
        "import rich.console",
        "from rich.console import Console",
        "from byoc.commands import terminal",
        "from byoc import commands",
        "from byoc.commands.terminal import result",
        "def f():\n    from typer import echo",
    ],
)
def test_the_rule_finds_violations(code: str) -> None:
    assert list(violations(ast.parse(code))) != []


def test_the_rule_covers_the_library() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0] for path in LIBRARY}
    assert {"archive", "aws", "deployment", "endpoint", "image", "progress.py"} <= rooms


@pytest.mark.parametrize("progress", [SILENT, TerminalProgress()], ids=["silent", "terminal"])
def test_only_the_terminal_shows_progress(progress: Progress, capsys: pytest.CaptureFixture[str]) -> None:
    progress.note("a note")
    with progress.transfers() as transfers:
        transfers.begin("a", 2)
        transfers.advance("a", 1)
        transfers.update("a", 2)
        transfers.end("a")
    with progress.waiting("b") as waiting:
        waiting.show("c", 1)
    out, err = capsys.readouterr()
    assert (out, err == "") == ("", progress is SILENT)
