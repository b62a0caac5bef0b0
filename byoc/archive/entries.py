"""The files and directories of a model directory that go into an archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from byoc.errors import ArchiveError
from serve.repository import is_junk

__all__ = ["Entry", "entries"]

# Left behind by macOS, Jupyter and Python, at any depth. At the top level every hidden entry is left out, because
# `serve` ignores it.
_LEFTOVERS = {".DS_Store", ".ipynb_checkpoints", "__MACOSX", "__pycache__"}

Entry = tuple[PurePosixPath, Path]


def entries(directory: Path, root: str = "", skip: frozenset[Path] = frozenset()) -> Iterator[Entry]:
    """Yield the name in the archive and the path of each entry, sorted by name, a directory before its content.

    Links are followed, because SageMaker does not extract links.

    Args:
        directory: a repository of models, or one model.
        root: the directory of the archive to put the entries in; "" for its root.
        skip: resolved paths to leave out.

    Raises:
        ArchiveError: a broken link, a link to a parent directory, or neither a file nor a directory.
    """
    if root:
        yield PurePosixPath(root), directory
    yield from _below(directory, PurePosixPath(root), skip, ())


def _below(directory: Path, prefix: PurePosixPath, skip: frozenset[Path], above: tuple[Path, ...]) -> Iterator[Entry]:
    resolved = directory.resolve()
    if resolved in above:
        raise ArchiveError(f"{directory} is a link to a directory that holds it", "Remove the link.")
    for path in sorted(directory.iterdir(), key=lambda entry: entry.name):
        if _is_leftover(path, at_top=not above) or path.resolve() in skip:
            continue
        if not path.is_dir() and not path.is_file():
            what = "a broken link" if path.is_symlink() else "neither a file nor a directory"
            raise ArchiveError(
                f"{path} is {what}", "SageMaker takes plain files and directories: remove or replace it."
            )
        yield prefix / path.name, path
        if path.is_dir():
            yield from _below(path, prefix / path.name, skip, (*above, resolved))


def _is_leftover(path: Path, *, at_top: bool) -> bool:
    return path.name in _LEFTOVERS or path.name.startswith("._") or (at_top and is_junk(path.name))
