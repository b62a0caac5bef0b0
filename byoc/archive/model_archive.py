"""Model archives: a model directory becomes the `model.tar.gz` that SageMaker extracts to `/opt/ml/model`.

The same directory gives the same archive: entries sorted, times and owners zero. What `serve` would refuse to load is
refused here, by the same code.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from byoc.archive.check import CONFIG, check_entries, check_tar
from byoc.archive.entries import Entry, entries
from byoc.errors import ArchiveError
from serve.repository import is_junk

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["Archive", "combined_digest", "pack", "pack_tenants", "read"]

_CHUNK = 1 << 20
_COMPRESSION = 6


@dataclass(frozen=True)
class Archive:
    """A `model.tar.gz` that `serve` can load.

    Attributes:
        path: the file.
        size: its size in bytes.
        digest: SHA-256, in hex, of the uncompressed tar: it does not depend on who compressed it.
        models: the names of the models in it.
    """

    path: Path
    size: int
    digest: str
    models: tuple[str, ...]

    def summary(self) -> dict[str, object]:
        """The archive in JSON's types."""
        return {"path": str(self.path), "size": self.size, "digest": self.digest, "models": list(self.models)}


class _Hashed(io.BufferedIOBase):
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


def pack(directory: Path, output: Path, default_model: str | None = None) -> Archive:
    """Write `output` from a repository of models, or from one model, whose directory then gives it its name.

    Raises:
        ArchiveError: `serve` would not load it, or it holds what an archive cannot: broken links, sockets.
    """
    root = directory.resolve().name if _is_one_model(directory) else ""
    found = list(entries(directory, root, frozenset({output.resolve()})))
    return _write(found, output, check_entries(found, directory, default_model, tenant=False))


def pack_tenants(directory: Path, output: Path) -> tuple[Archive, ...]:
    """Write `output`/NAME.tar.gz for each sub-directory NAME: the models of a multi-model endpoint.

    All of them are checked before the first is written. Raises ArchiveError.
    """
    tenants = [entry for entry in sorted(directory.iterdir()) if entry.is_dir() and not is_junk(entry.name)]
    tenants = [tenant for tenant in tenants if tenant.resolve() != output.resolve()]
    if not tenants:
        raise ArchiveError(f"{directory} has no sub-directory", "Many models are one sub-directory each.")
    found = {tenant: list(entries(tenant)) for tenant in tenants}
    models = {tenant: check_entries(found[tenant], tenant, None, tenant=True) for tenant in tenants}
    return tuple(_write(found[tenant], output / f"{tenant.name}.tar.gz", models[tenant]) for tenant in tenants)


def read(path: Path, default_model: str | None = None, *, tenant: bool = False) -> Archive:
    """Check a ready archive as `serve` would; `tenant`: it is for a multi-model endpoint. Raises ArchiveError."""
    try:
        with gzip.open(path) as stream:
            hashed = _Hashed(stream)
            models = check_tar(hashed, path, default_model, tenant=tenant)
            while hashed.read(_CHUNK):
                pass
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ArchiveError(f"{path} is not a readable .tar.gz archive: {error}", "`byoc pack` makes one.") from error
    return Archive(path, path.stat().st_size, hashed.digest.hexdigest(), models)


def combined_digest(archives: tuple[Archive, ...]) -> str:
    """SHA-256, in hex, of the archives' names and contents together."""
    return hashlib.sha256("\n".join(f"{one.path.name} {one.digest}" for one in archives).encode()).hexdigest()


def _is_one_model(directory: Path) -> bool:
    """Tell whether `directory` is a model rather than a repository of models."""
    return any(entry.name == CONFIG or (entry.name.isdigit() and entry.is_dir()) for entry in directory.iterdir())


def _write(found: Iterable[Entry], output: Path, models: tuple[str, ...]) -> Archive:
    """Pack what was `found` into `output`, which appears only when it is complete."""
    output.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            digest = _write_tar(found, file)
        Path(partial).chmod(0o644)
        Path(partial).replace(output)
    finally:
        Path(partial).unlink(missing_ok=True)
    return Archive(output, output.stat().st_size, digest, models)


def _write_tar(found: Iterable[Entry], file: IO[bytes]) -> str:
    """Write the compressed tar, and return the SHA-256 of what was compressed."""
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=file, mtime=0) as compressed:
        hashed = _Hashed(compressed)
        with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for name, path in found:
                _add(tar, str(name), path)
    return hashed.digest.hexdigest()


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    """Add one file or directory with nothing of this machine in it: no time, no owner, no link."""
    entry = tarfile.TarInfo(name)
    if path.is_dir():
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
        return
    with path.open("rb") as content:
        status = os.fstat(content.fileno())
        entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
        tar.addfile(entry, content)
