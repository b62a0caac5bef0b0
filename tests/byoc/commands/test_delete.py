"""`byoc delete`."""

from __future__ import annotations

from pathlib import Path

from byoc.aws import Aws
from tests.byoc.aws_server import AwsServer
from tests.byoc.conftest import BUCKET, Byoc, deploy, snapshot, write_endpoint, write_model


def test_delete_takes_all_that_was_made_and_no_more(endpoint: Aws, byoc: Byoc, tmp_path: Path) -> None:
    """Resources with similar names that belong to others are not deleted."""
    endpoint.s3.put_object(Bucket=BUCKET, Key="triton-byoc/classifier-two/0/model.tar.gz", Body=b"")
    endpoint.sagemaker.create_model(
        ModelName="classifier-0123456789ab",
        PrimaryContainer={"Image": "x"},
        ExecutionRoleArn="arn:aws:iam::123456789012:role/x",
    )
    write_model(tmp_path / "repository", code="other")
    assert deploy(byoc, write_endpoint(tmp_path, endpoint="classifier-two")).status == 0
    result = byoc.ok("delete", "classifier", "--yes", "--interval", "0.01")
    assert result.out.splitlines()[0].split() == ["delete", "endpoint", "classifier", "(InService)"]
    left = snapshot(endpoint)
    assert set(left["endpoints"]) == {"classifier-two"}
    assert "classifier-0123456789ab" in left["models"]
    assert len(left["models"]) == 2
    assert all(key.startswith("triton-byoc/classifier-two/") for key in left["objects"])


def test_delete_finds_what_went_elsewhere(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    """Archives below `upload_to` are found by the tags of remaining resources, even without the endpoint."""
    account.s3.create_bucket(Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    deploy(byoc, write_endpoint(tmp_path, upload_to="s3://elsewhere/models"))
    assert snapshot(account)["objects"]
    account.sagemaker.delete_endpoint(EndpointName="classifier")
    byoc.ok("delete", "classifier", "--yes", "--interval", "0.01")
    left = snapshot(account)
    assert not any(left.values()), left


def test_delete_waits_for_what_is_in_progress(
    account: Aws, server: AwsServer, byoc: Byoc, model: Path, tmp_path: Path
) -> None:
    deploy(byoc, write_endpoint(tmp_path), "--no-wait")
    byoc.ok("delete", "classifier", "--yes", "--interval", "0.01")
    assert not any(snapshot(account).values())
