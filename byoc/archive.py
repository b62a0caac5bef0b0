"""Model archives: a model directory becomes the `model.tar.gz` that SageMaker extracts to `/opt/ml/model`.

The same directory gives the same archive, byte for byte, on every machine: entries sorted, times and owners zero. What
`serve` would refuse to load is refused here, by the same code.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from byoc.errors import ArchiveError
from serve.repository import Repository, RepositoryError, inspect_repository, is_junk, read_config

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

__all__ = ["Archive", "combined_digest", "pack", "pack_tenants", "read"]

# What macOS, Jupyter and Python leave behind at any depth. At the top `serve` ignores every hidden entry: so do we.
_LEFTOVERS = {".DS_Store", ".ipynb_checkpoints", "__MACOSX", "__pycache__"}
_DEFAULT_MODEL_REMEDY = "Here that is --default-model, or the same variable under `environment:` in endpoint.yaml."
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

    def write(self, data: Buffer) -> int:
        """Hash `data`, and write it to the file."""
        self.digest.update(data)
        return self._file.write(data)


def pack(directory: Path, output: Path, default_model: str | None = None) -> Archive:
    """Write `output` from a repository of models, or from one model, whose directory then gives it its name.

    Raises:
        ArchiveError: `serve` would not load it, or it holds what an archive cannot: broken links, sockets.
    """
    with _as_repository(directory) as root:
        models = _checked(root, directory, default_model).models
        return _write(root, output, models)


def pack_tenants(directory: Path, output: Path) -> tuple[Archive, ...]:
    """Write `output`/NAME.tar.gz for each sub-directory NAME: the models of a multi-model endpoint.

    All of them are checked before the first is written. Raises ArchiveError.
    """
    tenants = [entry for entry in sorted(directory.iterdir()) if entry.is_dir() and not is_junk(entry.name)]
    if not tenants:
        raise ArchiveError(f"{directory} has no sub-directory", "--multi-model makes one archive of each of them.")
    models = [_checked_tenant(tenant, tenant) for tenant in tenants]
    return tuple(
        _write(tenant, output / f"{tenant.name}.tar.gz", names) for tenant, names in zip(tenants, models, strict=True)
    )


def read(path: Path, default_model: str | None = None, *, tenant: bool = False) -> Archive:
    """Check a ready archive as `serve` would; `tenant`: it is for a multi-model endpoint. Raises ArchiveError."""
    with tempfile.TemporaryDirectory(prefix="byoc-") as scratch:
        outline = Path(scratch) / path.name
        outline.mkdir()
        try:
            with gzip.open(path) as stream:
                hashed = _Hashed(stream)
                _outline(hashed, outline, path)
                while hashed.read(_CHUNK):
                    pass
        except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ArchiveError(
                f"{path} is not a readable .tar.gz archive: {error}", "`byoc pack` makes one."
            ) from error
        names = _checked_tenant(outline, path) if tenant else _checked(outline, path, default_model).models
    return Archive(path, path.stat().st_size, hashed.digest.hexdigest(), names)


def _outline(stream: _Hashed, outline: Path, archive: Path) -> None:
    """Lay the archive's tree out below `outline`, every file empty but `config.pbtxt`: all that a check looks at."""
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            name = PurePosixPath(member.name)
            if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
                remedy = "SageMaker takes plain files and directories inside the archive only; `byoc pack` makes such."
                raise ArchiveError(f"{archive} holds {member.name!r}, a link, a device or a path outside", remedy)
            target = outline / name
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(member) if name.name == "config.pbtxt" else None
            target.write_bytes(content.read(_CHUNK) if content else b"")


@contextmanager
def _as_repository(directory: Path) -> Iterator[Path]:
    """`directory` if it holds models; if it is one, a directory that holds it."""
    if not _is_one_model(directory):
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="byoc-") as scratch:
        (Path(scratch) / directory.resolve().name).symlink_to(directory.resolve(), target_is_directory=True)
        yield Path(scratch)


def _is_one_model(directory: Path) -> bool:
    """Tell whether `directory` is a model rather than a repository of models."""
    entries = list(directory.iterdir())
    return any(e.name == "config.pbtxt" or (e.name.isdigit() and e.is_dir()) for e in entries)


def _checked(root: Path, shown: Path, default_model: str | None) -> Repository:
    """What `serve` finds in `root`, which the user knows as `shown`; raises ArchiveError."""
    try:
        repository = inspect_repository(root, default_model)
        for model in repository.models:
            read_config(root / model)
    except RepositoryError as error:
        message = str(error).replace(str(root), str(shown))
        remedy = _DEFAULT_MODEL_REMEDY if "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME" in message else ""
        raise ArchiveError(message, remedy) from error
    return repository


def _checked_tenant(root: Path, shown: Path) -> tuple[str, ...]:
    """The models of one archive of a multi-model endpoint, which may also be one model at its root."""
    with _as_repository(root) as repository:
        entry = _ensemble_or_only(repository)
        return _checked(repository, shown, entry).models


def _ensemble_or_only(root: Path) -> str | None:
    """The entry model of a tenant: its ensemble, or None for the only model."""
    models = [entry for entry in sorted(root.iterdir()) if entry.is_dir() and not is_junk(entry.name)]
    ensembles = [model.name for model in models if len(models) > 1 and _is_ensemble(model)]
    return ensembles[0] if len(ensembles) == 1 else None


def _is_ensemble(model: Path) -> bool:
    try:
        return bool(read_config(model).platform == "ensemble")
    except RepositoryError as error:
        raise ArchiveError(str(error)) from error


def _write(root: Path, output: Path, models: tuple[str, ...]) -> Archive:
    """Pack what lies below `root` into `output`, which appears only when it is complete."""
    output.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            digest = _write_tar(root, file, skip={output.resolve(), Path(partial).resolve()})
        Path(partial).chmod(0o644)
        Path(partial).replace(output)
    finally:
        Path(partial).unlink(missing_ok=True)
    return Archive(output, output.stat().st_size, digest, models)


def _write_tar(root: Path, file: IO[bytes], skip: set[Path]) -> str:
    """Write the compressed tar, and return the SHA-256 of what was compressed."""
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=file, mtime=0) as compressed:
        hashed = _Hashed(compressed)
        with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for name, path in _entries(root, PurePosixPath(), skip, ()):
                _add(tar, name, path)
    return hashed.digest.hexdigest()


def _entries(
    directory: Path, prefix: PurePosixPath, skip: set[Path], above: tuple[Path, ...]
) -> Iterator[tuple[PurePosixPath, Path]]:
    """All that is to be packed below `directory`, by name: links followed, leftovers left out."""
    if directory.resolve() in above:
        raise ArchiveError(f"{directory} is a link to a directory that holds it", "Remove the link.")
    for path in sorted(directory.iterdir(), key=lambda entry: entry.name):
        leftover = path.name in _LEFTOVERS or path.name.startswith("._") or (not above and is_junk(path.name))
        if leftover or path.resolve() in skip:
            continue
        yield prefix / path.name, path
        if path.is_dir():
            yield from _entries(path, prefix / path.name, skip, (*above, directory.resolve()))


def _add(tar: tarfile.TarFile, name: PurePosixPath, path: Path) -> None:
    """Add one file or directory with nothing of this machine in it: no time, no owner, no link."""
    entry = tarfile.TarInfo(str(name))
    if path.is_dir():
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
        return
    if not path.is_file():
        what = "a broken link" if path.is_symlink() else "neither a file nor a directory"
        raise ArchiveError(f"{path} is {what}", "SageMaker takes plain files and directories: remove or replace it.")
    status = path.stat()
    entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
    with path.open("rb") as content:
        tar.addfile(entry, content)


def combined_digest(archives: tuple[Archive, ...]) -> str:
    """SHA-256, in hex, of the archives' names and contents together."""
    return hashlib.sha256("\n".join(f"{one.path.name} {one.digest}" for one in archives).encode()).hexdigest()
