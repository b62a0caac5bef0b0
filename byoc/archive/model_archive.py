"""Model archives: a model directory becomes the `model.tar.gz` that SageMaker extracts to `/opt/ml/model`.

The same directory always gives the same archive: entries are sorted, times and owners are zero. An archive that `serve`
would refuse is refused here, by the same code.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from byoc.archive import tarball
from byoc.archive.check import Checked, MultiModel, SingleModel, check, outline_directory
from byoc.archive.entries import Entry, entries
from byoc.archive.outline import outline_entries, outline_tar
from byoc.errors import ArchiveError
from serve.repository import Finding, is_junk, is_model

__all__ = ["Archive", "combined_digest", "pack", "pack_tenants", "read"]

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A `model.tar.gz` that `serve` can load.

    Attributes:
        path: the file.
        size: its size in bytes.
        digest: SHA-256, in hex, of the uncompressed tar, which does not depend on the compression.
        models: the names of the models in it.
        warnings: findings that do not prevent serving.
    """

    path: Path
    size: int
    digest: str
    models: tuple[str, ...]
    warnings: tuple[Finding, ...] = ()

    def summary(self) -> dict[str, object]:
        """The archive in JSON's types."""
        return {"path": str(self.path), "size": self.size, "digest": self.digest, "models": list(self.models)}


def pack(directory: Path, output: Path, endpoint: SingleModel | None = None) -> Archive:
    """Write `output` from a repository of models, or from one model, whose directory then gives it its name.

    Args:
        directory: the repository, or the model.
        output: the archive to write.
        endpoint: the endpoint that will load it; None: one with default settings.

    Raises:
        ArchiveError: `serve` would not load it, or it has entries that an archive cannot hold: broken links, sockets.
    """
    root = directory.resolve().name if is_model(directory) else ""
    found = list(entries(directory, root, frozenset({output.resolve()})))
    checked = _checked(found, directory, endpoint or SingleModel())
    return _archive(output, tarball.write(found, output), checked)


def pack_tenants(directory: Path, output: Path, endpoint: MultiModel | None = None) -> tuple[Archive, ...]:
    """Write `output`/NAME.tar.gz for each sub-directory NAME: the models of a multi-model endpoint.

    All of them are checked before the first is written.

    Args:
        directory: where the sub-directories are.
        output: the directory to write to.
        endpoint: the endpoint that will load them; None: one whose shared models are unknown.

    Raises:
        ArchiveError: as for `pack`.
    """
    tenants = [entry for entry in sorted(directory.iterdir()) if entry.is_dir() and not is_junk(entry.name)]
    tenants = [tenant for tenant in tenants if tenant.resolve() != output.resolve()]
    if not tenants:
        raise ArchiveError(f"{directory} has no sub-directory", "Many models are one sub-directory each.")
    found = {tenant: list(entries(tenant)) for tenant in tenants}
    checked = {tenant: _checked(found[tenant], tenant, endpoint or MultiModel()) for tenant in tenants}
    paths = {tenant: output / f"{tenant.name}.tar.gz" for tenant in tenants}
    return tuple(_archive(path, tarball.write(found[one], path), checked[one]) for one, path in paths.items())


def read(path: Path, endpoint: SingleModel | MultiModel | None = None) -> Archive:
    """Check a ready archive as `serve` would.

    Args:
        path: the archive.
        endpoint: the endpoint that will load it; None: a single-model endpoint with default settings.

    Raises:
        ArchiveError: `serve` would not load it, SageMaker would not extract it, or it is not an archive.
    """
    try:
        with gzip.open(path) as stream, outline_directory(path) as outline:
            hashed = tarball.Hashed(stream)
            outline_tar(hashed, outline, path)
            while hashed.read(_CHUNK):
                pass
            checked = check(outline, path, endpoint or SingleModel())
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ArchiveError(f"{path} is not a readable .tar.gz archive: {error}", "`byoc pack` makes one.") from error
    return _archive(path, hashed.digest.hexdigest(), checked)


def combined_digest(archives: tuple[Archive, ...]) -> str:
    """SHA-256, in hex, of the archives' names and contents together."""
    return hashlib.sha256("\n".join(f"{one.path.name} {one.digest}" for one in archives).encode()).hexdigest()


def _checked(found: list[Entry], shown: Path, endpoint: SingleModel | MultiModel) -> Checked:
    with outline_directory(shown) as outline:
        outline_entries(found, outline)
        return check(outline, shown, endpoint)


def _archive(path: Path, digest: str, checked: Checked) -> Archive:
    return Archive(path, path.stat().st_size, digest, checked.models, checked.warnings)
