"""What `byoc pack` says of a tenant's archive is what a real endpoint says when it loads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from byoc.archive import MultiModel
from tests.byoc.archive.agreement import extracted, of_byoc
from tests.serve.multi_model.archives import Model, ensemble, word, write_archive
from tests.serve.multi_model.endpoint import Endpoint

SHARED = MultiModel(frozenset({"probe", "broken"}))

ARCHIVES: dict[str, Mapping[str, Model] | Model] = {
    "a model at the root": word("hello"),
    "an ensemble": {"pipeline": ensemble("part"), "part": word()},
    "an ensemble of a shared model": {"pipeline": ensemble("probe")},
    "a Python model that depends on a shared model": word(sagemaker__depends_on="probe"),
    "a call to a model that there is not": {"pipeline": ensemble("typo")},
    "a Python model without code": replace(word(), files={"1/readme": ""}),
    "a model without a version": replace(word(), files={}),
    "a version that is too large": replace(word(), files={**word().files, f"{'9' * 20}/model.py": ""}),
    "a circle": {"top": ensemble("a"), "a": ensemble("b"), "b": ensemble("a")},
    "two entries": {"red": word(), "blue": word()},
    "memory that is no number": word(sagemaker__required_memory_mb="2 GB"),
    "a file of another tenant": word(more='default_model_filename: "../../../other/model/1/model.py"'),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_load(gateway: Endpoint, tmp_path: Path, kind: str) -> None:
    source = write_archive(tmp_path / "tenants" / "one", ARCHIVES[kind])
    accepted, findings = of_byoc(source, tmp_path / "packed" / "one.tar.gz", SHARED)
    answer = gateway.load("one", extracted(source, gateway.models_dir / "one", SHARED))
    assert answer.status == (200 if accepted else 400), answer
    for finding in findings:
        assert str(finding) in answer.error()
