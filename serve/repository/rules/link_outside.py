"""Symlinks out of a tenant's archive, to files of another tenant or of the container."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from serve.repository.findings import Finding

__all__ = ["link_outside"]


def link_outside(archive: Path) -> Iterator[Finding]:
    """Find symlinks that lead out of an archive, or that can't be resolved.

    Runs before the archive is read, so that nothing outside of it is read or shown.

    Args:
        archive: the archive's directory, resolved.
    """
    for parent, directories, files in os.walk(archive):
        for path in (Path(parent, name) for name in (*directories, *files)):
            if path.is_symlink() and (message := _message(path, archive)):
                yield Finding("link-outside", "error", message, "pack the file itself", _place(path, archive))


def _message(link: Path, archive: Path) -> str | None:
    """Return what is wrong with a link, or None."""
    try:
        target = link.resolve()
    except (OSError, RuntimeError) as error:
        return f"this is a symlink that leads nowhere ({error})"
    if target.is_relative_to(archive):
        return None
    return f"this is a symlink to {link.readlink()}, which is outside of the archive"


def _place(link: Path, archive: Path) -> PurePosixPath:
    return PurePosixPath(link.relative_to(archive))
