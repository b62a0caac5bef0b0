"""Asks `byoc pack`, and what `serve` runs, about the same directory."""

from __future__ import annotations

import tarfile
from pathlib import Path

from byoc.archive import MultiModel, SingleModel, pack, pack_tenants, read
from byoc.archive.entries import entries
from byoc.archive.tarball import write
from byoc.errors import ArchiveError
from serve.repository import Finding, RepositoryError, inspect_repository, inspect_tenant, is_model

__all__ = ["Verdict", "extracted", "of_byoc", "of_serve"]

# Whether it is accepted, and all that is found.
Verdict = tuple[bool, tuple[Finding, ...]]


def of_byoc(source: Path, output: Path, endpoint: SingleModel | MultiModel) -> Verdict:
    """Return what `byoc pack` says of a directory."""
    try:
        if isinstance(endpoint, SingleModel):
            packed = pack(source, output, endpoint)
        else:
            [packed] = pack_tenants(source.parent, output.parent, endpoint)
    except ArchiveError as error:
        if not isinstance(error.__cause__, RepositoryError):
            raise
        return False, error.__cause__.findings
    assert read(packed.path, endpoint).digest == packed.digest
    return True, packed.warnings


def of_serve(extracted: Path, endpoint: SingleModel | MultiModel) -> Verdict:
    """Return what `serve` says of an extracted archive: what it runs at the start, and at a load."""
    try:
        if isinstance(endpoint, SingleModel):
            return True, inspect_repository(extracted, endpoint.default_model, endpoint.load_models).warnings
        return True, inspect_tenant(extracted, endpoint.shared_models).warnings
    except RepositoryError as error:
        return False, error.findings


def extracted(source: Path, place: Path, endpoint: SingleModel | MultiModel) -> Path:
    """Pack a directory without any check, and extract it to `place`/model as SageMaker does."""
    root = source.name if isinstance(endpoint, SingleModel) and is_model(source) else ""
    (place / "model").mkdir(parents=True)
    write(entries(source, root), place / "unchecked.tar.gz")
    with tarfile.open(place / "unchecked.tar.gz") as tar:
        tar.extractall(place / "model", filter="data")
    return place / "model"
