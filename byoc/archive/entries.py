"""What of a model directory belongs into an archive: plain files and directories, without what tools leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from byoc.errors import ArchiveError
from serve.repository import is_junk

__all__ = ["Entry", "entries"]

# What macOS, Jupyter and Python leave behind at any depth. At the top `serve` ignores every hidden entry: so do we.
_LEFTOVERS = {".DS_Store", ".ipynb_checkpoints", "__MACOSX", "__pycache__"}

Entry = tuple[PurePosixPath, Path]


def entries(directory: Path, root: str = "", skip: frozenset[Path] = frozenset()) -> Iterator[Entry]:
    """Name in the archive and path of everything to pack, a directory before what is in it, sorted by name.

    Links are followed: SageMaker does not take any.

    Args:
        directory: a repository of models, or one model.
        root: the directory in the archive to put it all in; "" for its root.
        skip: resolved paths to leave out.

    Raises:
        ArchiveError: a broken link, a link to a directory around itself, or neither file nor directory.
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
