"""The compressed tar file of an archive. The same entries give the same bytes; the digest does not depend on gzip."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from byoc.archive.entries import Entry

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["Hashed", "write"]

_COMPRESSION = 6


class Hashed(io.BufferedIOBase):
    """A file object that hashes what is read or written through it."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        """Stand in front of `file`."""
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int | None = -1) -> bytes:
        """Read from the file, and hash it."""
        data = self._file.read(size)
        self.digest.update(data)
        return data

    def write(self, data: ReadableBuffer) -> int:
        """Hash `data`, and write it to the file."""
        self.digest.update(data)
        return self._file.write(data)


def write(found: Iterable[Entry], output: Path) -> str:
    """Write the entries to `output`, which appears only when it is complete; return the SHA-256 of the tar."""
    output.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            digest = _write_tar(found, file)
        Path(partial).chmod(0o644)
        Path(partial).replace(output)
    finally:
        Path(partial).unlink(missing_ok=True)
    return digest


def _write_tar(found: Iterable[Entry], file: IO[bytes]) -> str:
    """Write the compressed tar, and return the SHA-256 of the uncompressed one."""
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=file, mtime=0) as compressed:
        hashed = Hashed(compressed)
        with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for name, path in found:
                _add(tar, str(name), path)
    return hashed.digest.hexdigest()


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    """Add one file or directory without time, owner or link."""
    entry = tarfile.TarInfo(name)
    if path.is_dir():
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
        return
    with path.open("rb") as content:
        status = os.fstat(content.fileno())
        entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
        tar.addfile(entry, content)
