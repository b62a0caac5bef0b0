"""The outline of an archive: its tree, with every file empty except config.pbtxt. That is all that `serve` checks."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from byoc.archive.entries import Entry
from byoc.errors import ArchiveError

__all__ = ["CONFIG", "outline_entries", "outline_tar"]

CONFIG = "config.pbtxt"


def outline_entries(found: Iterable[Entry], outline: Path) -> None:
    """Write the outline of the entries to pack into an empty directory."""
    for name, path in found:
        if path.is_dir():
            (outline / name).mkdir()
        elif path.name == CONFIG:
            shutil.copyfile(path, outline / name)
        else:
            (outline / name).touch()


def outline_tar(stream: io.BufferedIOBase, outline: Path, shown: Path) -> None:
    """Read a tar file to its last member, and write its outline into an empty directory.

    Raises:
        ArchiveError: it holds something that SageMaker does not extract; the message calls the file `shown`.
        tarfile.TarError: it is not a tar file.
    """
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            _outline_member(tar, member, outline, shown)


def _outline_member(tar: tarfile.TarFile, member: tarfile.TarInfo, outline: Path, shown: Path) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
        remedy = "SageMaker takes plain files and directories inside the archive only; `byoc pack` makes such."
        raise ArchiveError(f"{shown} holds {member.name!r}, a link, a device or a path outside", remedy)
    target = outline / name
    try:
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            content = tar.extractfile(member) if name.name == CONFIG else None
            if content is not None:
                shutil.copyfileobj(content, file)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        remedy = "`byoc pack` makes an archive in which every name is one or the other."
        raise ArchiveError(f"{shown} holds {member.name!r} both as a file and as a directory", remedy) from error
