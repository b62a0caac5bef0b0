"""The layout of a directory: its models, their versions, and a drawing of its tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

__all__ = [
    "CONFIG",
    "EXPECTED",
    "VERSIONS",
    "find_models",
    "impossible_versions",
    "is_junk",
    "is_model",
    "tree",
    "version_directories",
]

CONFIG = "config.pbtxt"

EXPECTED = """\
{name}/
└── my_model/            one directory for each model, its name is the model's name
    ├── config.pbtxt
    └── 1/               at least one version, a number
        └── model.onnx   or model.py, model.plan, model.pt, …"""

VERSIONS = range(2**63)

TREE_ENTRIES = 40
TREE_DEPTH = 3

# Triton reads a version from the name of a directory with std::stoll, which ignores what follows the number.
NUMBER = re.compile(r"\s*[+-]?[0-9]+", re.ASCII)


def is_junk(name: str) -> bool:
    """Tell whether an entry is left behind by macOS, Jupyter or an editor: it is not a model."""
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
    """Return the versions that Triton finds in a model directory, sorted, and the directory where it looks for each.

    Triton reads `1abc` as version 1, and then misses the directory `1`. It ignores names with a leading zero.
    """
    return {version: model / str(version) for version in sorted(_versions(model)) if version in VERSIONS}


def impossible_versions(model: Path) -> tuple[int, ...]:
    """Return the versions of a model that are negative or too large for Triton."""
    return tuple(version for version in sorted(_versions(model)) if version not in VERSIONS)


def _versions(model: Path) -> frozenset[int]:
    names = (path.name for path in model.iterdir() if path.is_dir())
    numbers = (NUMBER.match(name) for name in names if not (name.startswith("0") and len(name) > 1))
    return frozenset(int(number[0]) for number in numbers if number)


def tree(directory: Path) -> str:
    """Draw a directory tree, at most three levels deep and 40 lines long."""
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
