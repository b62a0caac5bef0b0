"""`byoc pack` and `serve` agree: what one accepts the other does, and both find the same.

`AGREEMENT_EXAMPLES=500 pytest tests/byoc/archive/test_agreement.py` tries 500 archives, instead of a few.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings

from byoc.archive import MultiModel, SingleModel, pack, pack_tenants, read
from byoc.archive.entries import entries
from byoc.archive.tarball import write
from byoc.errors import ArchiveError
from serve.repository import Finding, RepositoryError, inspect_repository, inspect_tenant, is_model
from tests.byoc.archive.random_archives import Directory, directories

EXAMPLES = int(os.environ.get("AGREEMENT_EXAMPLES", "60"))

# Whether it is accepted, and the code and severity of all that is found.
Verdict = tuple[bool, tuple[tuple[str, str, str], ...]]


def verdict(accepted: bool, findings: tuple[Finding, ...]) -> Verdict:
    return accepted, tuple((finding.code, finding.severity, str(finding.path)) for finding in findings)


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
        return verdict(False, error.__cause__.findings)
    assert read(packed.path, endpoint).digest == packed.digest
    return verdict(True, packed.warnings)


def of_serve(extracted: Path, endpoint: SingleModel | MultiModel) -> Verdict:
    """Return what `serve` says of an extracted archive: what it runs at the start, and at a load."""
    try:
        if isinstance(endpoint, SingleModel):
            return verdict(True, inspect_repository(extracted, endpoint.default_model, endpoint.load_models).warnings)
        return verdict(True, inspect_tenant(extracted, endpoint.shared_models).warnings)
    except RepositoryError as error:
        return verdict(False, error.findings)


def extracted(source: Path, place: Path, *, single: bool) -> Path:
    """Pack a directory without any check, and extract it as SageMaker does."""
    root = source.name if single and is_model(source) else ""
    write(entries(source, root), place / "unchecked.tar.gz")
    (place / "model").mkdir()
    with tarfile.open(place / "unchecked.tar.gz") as tar:
        tar.extractall(place / "model", filter="data")
    return place / "model"


def compare(directory: Directory, endpoint: SingleModel | MultiModel) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for part in ("tenants", "outside"):
            (place / part).mkdir()
        source = directory.write(place / "tenants" / "source")
        found = of_byoc(source, place / "packed" / "source.tar.gz", endpoint)
        assert found == of_serve(extracted(source, place, single=isinstance(endpoint, SingleModel)), endpoint)
    accepted, findings = found
    event("accepted" if accepted else "refused")
    for code, severity in {(code, severity) for code, severity, _ in findings}:
        event(f"{code} ({severity})")


@pytest.mark.timeout(600)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(directories())
def test_single_model(directory: Directory) -> None:
    compare(directory, SingleModel(directory.default_model, directory.load_models))


@pytest.mark.timeout(600)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(directories())
def test_tenant(directory: Directory) -> None:
    compare(directory, MultiModel(directory.shared))
