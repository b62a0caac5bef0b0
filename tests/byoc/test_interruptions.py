"""Each AWS call fails in turn, before or after it took effect; then the same command is run again.

It has to end in the same state as if nothing had happened, and with nothing left over.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from byoc import archive
from byoc.aws import Aws
from byoc.aws.s3 import abort_uploads
from byoc.deployment.delete import delete, plan_deletion
from byoc.deployment.deploy import deploy
from byoc.deployment.storage import Upload, upload
from byoc.deployment.wait import WaitPolicy
from byoc.endpoint import scaling
from byoc.endpoint.endpoint_file import load
from byoc.endpoint.scaling import Scaling
from byoc.errors import ByocError
from tests.byoc.aws_server import AwsServer, Fault
from tests.byoc.conftest import BUCKET, prepare_account, snapshot, write_endpoint, write_model

POLICY = WaitPolicy(interval=0.001, timeout=30)
FAILURES = (ByocError, BotoCoreError, ClientError, Boto3Error)
When = Literal["before", "after"]

Step = Callable[[Aws, Path], None]


def _first_model(session: Aws, directory: Path) -> None:
    write_model(directory / "repository", code="first")
    deploy(session, load(write_endpoint(directory)), POLICY)


def _second_model(session: Aws, directory: Path) -> None:
    write_model(directory / "repository", code="second")
    deploy(session, load(write_endpoint(directory)), POLICY)


def _tenants(code: str) -> Step:
    def step(session: Aws, directory: Path) -> None:
        for name in ("ada", "grace"):
            write_model(directory / "tenants" / name, code=code if name == "ada" else "same")
        deploy(session, load(write_endpoint(directory, model=None, models="tenants")), POLICY)

    return step


def _scale(session: Aws, directory: Path) -> None:
    scaling.scale(session, "classifier", Scaling("AllTraffic", 1, 4, 100.0))


def _delete(session: Aws, directory: Path) -> None:
    delete(session, plan_deletion(session, "classifier"), POLICY)


CASES: dict[str, tuple[tuple[Step, ...], Step]] = {
    "deploy": ((), _first_model),
    "update": ((_first_model, _scale), _second_model),
    "update-many": ((_tenants("first"),), _tenants("second")),
    "scale": ((_first_model,), _scale),
    "delete": ((_first_model, _scale), _delete),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("case", CASES)
def test_converges_after_a_failure_at_any_call(
    session: Aws, server: AwsServer, tmp_path: Path, case: str, when: When
) -> None:
    before, step = CASES[case]
    calls = _run(session, server, tmp_path, before, step)
    wanted = snapshot(session)
    assert len(calls) >= 2
    for number, call in enumerate(calls):
        _prepare(session, server, tmp_path, before)
        server.fault = Fault(number, when)
        with pytest.raises(FAILURES):
            step(session, tmp_path)
        server.fault = None
        step(session, tmp_path)
        assert snapshot(session) == wanted, f"{call} failed"


def _prepare(session: Aws, server: AwsServer, directory: Path, steps: tuple[Step, ...]) -> None:
    server.reset()
    prepare_account(session)
    vars(session).pop("account", None)  # looked up once a session: each run is to look it up
    for step in steps:
        step(session, directory)
    server.forget_calls()


def _run(session: Aws, server: AwsServer, directory: Path, before: tuple[Step, ...], step: Step) -> list[str]:
    """The calls that the step makes when nothing fails."""
    _prepare(session, server, directory, before)
    step(session, directory)
    return server.operations()


def test_deleting_leaves_an_empty_account(account: Aws, tmp_path: Path) -> None:
    empty = snapshot(account)
    _first_model(account, tmp_path)
    _scale(account, tmp_path)
    _delete(account, tmp_path)
    assert snapshot(account) == empty


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_a_large_upload_that_fails_leaves_no_parts(
    account: Aws, server: AwsServer, tmp_path: Path, operation: str
) -> None:
    wanted = _large_upload(tmp_path)
    server.fault = Fault(operation)
    with pytest.raises(FAILURES):
        upload(account, wanted, lambda size: None, part_bytes=5 << 20)
    server.fault = None
    assert snapshot(account)["uploads"] == set()
    sent: list[int] = []
    upload(account, wanted, sent.append, part_bytes=5 << 20)
    assert server.operations().count("s3:UploadPart") >= 3
    assert sum(sent) == wanted.archive.size
    assert snapshot(account)["objects"] == {wanted.key}


def test_parts_of_a_killed_upload_are_removed(account: Aws) -> None:
    key = "triton-byoc/classifier/0123456789abcdef/model.tar.gz"
    account.s3.create_multipart_upload(Bucket=BUCKET, Key=key)
    assert snapshot(account)["uploads"] == {key}
    abort_uploads(account, BUCKET, "triton-byoc/classifier/")
    assert snapshot(account)["uploads"] == set()


def _large_upload(directory: Path) -> Upload:
    """An archive of a little more than two parts that does not compress."""
    weights = write_model(directory / "large") / "double" / "1" / "weights.bin"
    weights.write_bytes(os.urandom(11 << 20))
    packed = archive.pack(directory / "large", directory / "model.tar.gz")
    return Upload(packed, BUCKET, f"triton-byoc/classifier/{packed.digest[:16]}/model.tar.gz")


def test_snapshots_see_what_is_there(account: Aws, tmp_path: Path) -> None:
    """The comparison above would be void if this were empty."""
    _first_model(account, tmp_path)
    _scale(account, tmp_path)
    found: dict[str, Any] = snapshot(account)
    assert {kind for kind, things in found.items() if things} == {
        "endpoints", "configs", "models", "objects", "scaling", "policies"
    }  # fmt: skip
