"""Deploying: what is made, what a second run does, how changes arrive."""

from __future__ import annotations

from pathlib import Path

from byoc.aws import Aws
from tests.byoc.aws_server import AwsServer
from tests.byoc.conftest import BUCKET, Byoc, deploy, put_image, snapshot, write_endpoint, write_model

WRITES = ("Create", "Update", "Delete", "Add", "Put", "Register", "Deregister", "Upload", "Complete", "Abort")


def writes(server: AwsServer) -> list[str]:
    """The recorded calls that change something."""
    return [str(call) for call in server.calls if call.operation.startswith(WRITES)]


def test_makes_an_endpoint(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    result = deploy(byoc, write_endpoint(tmp_path))
    assert result.status == 0, result.err
    assert "classifier is InService" in result.out
    made = snapshot(account)
    config = account.sagemaker.describe_endpoint_config(EndpointConfigName=made["endpoints"]["classifier"][1])
    variant = config["ProductionVariants"][0]
    assert (variant["VariantName"], variant["InstanceType"], variant["InitialInstanceCount"]) == (
        "AllTraffic", "ml.m5.large", 1
    )  # fmt: skip
    container = account.sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]
    assert container["Image"].startswith("123456789012.dkr.ecr.eu-west-1.amazonaws.com/triton-byoc@sha256:")
    assert container["ModelDataUrl"] == f"s3://{BUCKET}/{made['objects'].pop()}"


def test_second_run_changes_nothing(account: Aws, server: AwsServer, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    file = write_endpoint(tmp_path)
    deploy(byoc, file)
    before = snapshot(account)
    server.forget_calls()
    result = deploy(byoc, file)
    assert result.status == 0, result.err
    assert writes(server) == []
    assert snapshot(account) == before
    assert "as it was" in result.out


def test_changed_model_updates_and_removes_the_old_one(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    file = write_endpoint(tmp_path)
    deploy(byoc, file)
    before = snapshot(account)
    write_model(model, code="second")
    result = deploy(byoc, file)
    assert result.status == 0, result.err
    after = snapshot(account)
    assert after["endpoints"] != before["endpoints"]
    for kind in ("configs", "models", "objects"):
        assert len(after[kind]) == 1
        assert after[kind].isdisjoint(before[kind])


def test_moved_image_tag_updates(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    file = write_endpoint(tmp_path)
    deploy(byoc, file)
    before = snapshot(account)
    put_image(account, "latest", "second")
    deploy(byoc, file)
    after = snapshot(account)
    assert after["models"] != before["models"]
    assert after["objects"] == before["objects"]


def test_plan_writes_nothing(account: Aws, server: AwsServer, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    result = byoc.ok("deploy", write_endpoint(tmp_path), "--plan", "--json")
    assert [(step["action"], step["what"]) for step in result.json["steps"]] == [
        ("upload", "archive"),
        ("create", "model"),
        ("create", "endpoint configuration"),
        ("create", "endpoint"),
    ]
    assert writes(server) == []
    assert snapshot(account)["objects"] == set()
