"""`byoc pack` and `serve` agree: what one accepts the other does, and both find the same.

`AGREEMENT_EXAMPLES=500 pytest tests/byoc/archive/test_agreement.py` tries 500 archives of each kind, instead of a few.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings

from byoc.archive import MultiModel, SingleModel
from tests.byoc.archive.agreement import extracted, of_byoc, of_serve
from tests.byoc.archive.random_archives import Directory, directories

EXAMPLES = int(os.environ.get("AGREEMENT_EXAMPLES", "60"))


def compare(directory: Directory, endpoint: SingleModel | MultiModel) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for part in ("tenants", "outside"):
            (place / part).mkdir()
        source = directory.write(place / "tenants" / "source")
        found = of_byoc(source, place / "packed" / "source.tar.gz", endpoint)
        assert found == of_serve(extracted(source, place / "ml", endpoint), endpoint)
    accepted, findings = found
    event("accepted" if accepted else "refused")
    for said in {f"{finding.code} ({finding.severity})" for finding in findings}:
        event(said)


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
