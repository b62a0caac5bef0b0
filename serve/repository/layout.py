"""Where models lie in a directory: what a model is, its versions, and a drawing of the whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

__all__ = ["CONFIG", "EXPECTED", "find_models", "is_junk", "is_model", "tree", "version_directories"]

CONFIG = "config.pbtxt"

EXPECTED = """\
{name}/
└── my_model/            one directory for each model, its name is the model's name
    ├── config.pbtxt
    └── 1/               at least one version, a number
        └── model.onnx   or model.py, model.plan, model.pt, …"""

TREE_ENTRIES = 40
TREE_DEPTH = 3

# Triton ignores numbers with leading zeros.
VERSION = re.compile(r"0|[1-9][0-9]*")


def is_junk(name: str) -> bool:
    """Tell whether macOS, Jupyter or an editor left this entry: it is neither a model nor a part of one."""
    return name.startswith(".") or name == "__MACOSX"


def find_models(directory: Path) -> tuple[str, ...]:
    """Return the names of the models that a directory holds, sorted."""
    return tuple(sorted(path.name for path in directory.iterdir() if not is_junk(path.name) and is_model(path)))


def is_model(path: Path) -> bool:
    """Tell whether a path is a directory with config.pbtxt or a numbered directory, even one that Triton ignores."""
    if not path.is_dir():
        return False
    return (path / CONFIG).is_file() or any(
        re.fullmatch(r"[0-9]+", entry.name) and entry.is_dir() for entry in path.iterdir()
    )


def version_directories(model: Path) -> dict[int, Path]:
    """Return the versions of a model that Triton finds, sorted, and their directories."""
    found = {int(path.name): path for path in model.iterdir() if VERSION.fullmatch(path.name) and path.is_dir()}
    return dict(sorted(found.items()))


def tree(directory: Path) -> str:
    """Draw a directory, three levels deep and 40 lines long at most."""
    lines = list(islice(_tree_lines(directory, "", TREE_DEPTH), TREE_ENTRIES + 1))
    if len(lines) > TREE_ENTRIES:
        lines[TREE_ENTRIES:] = ["…"]
    return "\n".join([f"{directory.name}/", *(lines or ["(empty)"])])


def _tree_lines(directory: Path, indent: str, depth: int) -> Iterator[str]:
    entries = sorted(directory.iterdir(), key=lambda path: path.name)
    for entry in entries:
        last = entry is entries[-1]
        is_directory = entry.is_dir()
        yield f"{indent}{'└── ' if last else '├── '}{entry.name}{'/' if is_directory else ''}"
        if is_directory and depth > 1:
            yield from _tree_lines(entry, indent + ("    " if last else "│   "), depth - 1)
