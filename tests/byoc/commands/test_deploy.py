"""Deploying: created resources, repeated runs, and changes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from byoc.aws import Aws
from tests.byoc.aws_server import AwsServer, Fault
from tests.byoc.conftest import BUCKET, ROLE, Byoc, deploy, put_image, snapshot, write_endpoint, write_model

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
    assert "(unchanged)" in result.out


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


def write_log(session: Aws, *lines: str) -> None:
    """A log of the endpoint's container, as SageMaker stores it."""
    group, stream = "/aws/sagemaker/Endpoints/classifier", "AllTraffic/i-0123456789"
    session.logs.create_log_group(logGroupName=group)
    session.logs.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(time.time() * 1000)
    events: Any = [{"timestamp": now + index, "message": line} for index, line in enumerate(lines)]
    session.logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def test_failed_creation_says_why_and_is_replaced(
    account: Aws, server: AwsServer, byoc: Byoc, model: Path, tmp_path: Path
) -> None:
    file = write_endpoint(tmp_path)
    write_log(account, "starting", "E1122 cannot open model.onnx")
    server.lifecycle.failures = ["The primary container did not pass the ping health check."]
    result = deploy(byoc, file)
    assert result.status == 1
    assert "classifier is Failed: The primary container did not pass the ping health check." in result.err
    assert "E1122 cannot open model.onnx" in result.err
    result = deploy(byoc, file)
    assert result.status == 0, result.err
    assert snapshot(account)["endpoints"]["classifier"][0] == "InService"


def test_failed_update_leaves_the_old_one_serving(
    account: Aws, server: AwsServer, byoc: Byoc, model: Path, tmp_path: Path
) -> None:
    file = write_endpoint(tmp_path)
    deploy(byoc, file)
    before = snapshot(account)
    write_model(model, code="broken")
    server.lifecycle.failures = ["out of capacity"]
    result = deploy(byoc, file)
    assert result.status == 1
    assert "it still serves the previous version: out of capacity" in result.err
    after = snapshot(account)
    assert after["endpoints"] == before["endpoints"]
    assert before["models"] < after["models"]
    write_model(model, code="first")
    assert deploy(byoc, file).status == 0
    assert snapshot(account) == before


def test_interrupted_wait_goes_on(
    account: Aws, byoc: Byoc, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    file = write_endpoint(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("byoc.deployment.wait.time.sleep", interrupt)
        result = byoc("deploy", file)
    assert (result.status, "Interrupted. It continues in AWS" in result.err) == (130, True)
    assert snapshot(account)["endpoints"]["classifier"][0] == "Creating"
    assert deploy(byoc, file).status == 0
    assert snapshot(account)["endpoints"]["classifier"][0] == "InService"


def test_takes_too_long(account: Aws, server: AwsServer, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    server.lifecycle.looks = 1000
    result = deploy(byoc, write_endpoint(tmp_path), "--timeout", "0.05")
    assert result.status == 1
    assert "is still Creating after 0 s. It continues in AWS" in result.err


def test_no_wait(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    result = deploy(byoc, write_endpoint(tmp_path), "--no-wait", "--json")
    assert result.json["status"] == "Creating"


def tenants(directory: Path, **code: str) -> None:
    for name, text in code.items():
        write_model(directory / "tenants" / name, code=text)


def test_many_models(account: Aws, server: AwsServer, byoc: Byoc, tmp_path: Path) -> None:
    """A new archive is only uploaded; a changed one moves all to a new prefix, because machines keep the old one."""
    tenants(tmp_path, ada="1", grace="1")
    file = write_endpoint(tmp_path, model=None, models="tenants", model_cache="Disabled")
    assert deploy(byoc, file).status == 0
    first = snapshot(account)
    container = account.sagemaker.describe_model(ModelName=next(iter(first["models"])))["PrimaryContainer"]
    assert (container["Mode"], container["MultiModelConfig"]) == ("MultiModel", {"ModelCacheSetting": "Disabled"})
    prefix = container["ModelDataUrl"].removeprefix(f"s3://{BUCKET}/")
    assert first["objects"] == {f"{prefix}ada.tar.gz", f"{prefix}grace.tar.gz"}

    tenants(tmp_path, linus="1")
    server.forget_calls()
    assert deploy(byoc, file).status == 0
    assert writes(server) == ["s3:PutObject"]
    second = snapshot(account)
    assert second["objects"] == first["objects"] | {f"{prefix}linus.tar.gz"}
    assert second["endpoints"] == first["endpoints"]

    tenants(tmp_path, ada="2")
    assert deploy(byoc, file).status == 0
    third = snapshot(account)
    assert third["endpoints"] != second["endpoints"]
    assert len(third["objects"]) == 3
    assert third["objects"].isdisjoint(second["objects"])


def test_warns_of_models_that_the_image_must_share(account: Aws, byoc: Byoc, tmp_path: Path) -> None:
    tenants(tmp_path, ada="1")
    with (tmp_path / "tenants" / "ada" / "double" / "config.pbtxt").open("a") as file:
        file.write('parameters { key: "sagemaker.depends_on" value { string_value: "tokenizer" } }')
    endpoint = write_endpoint(tmp_path, model=None, models="tenants")
    for command in (byoc.ok("deploy", endpoint, "--plan"), deploy(byoc, endpoint)):
        assert command.status == 0
        assert "warning: ada.tar.gz: double/config.pbtxt: " in command.err
        assert "the image must share a model 'tokenizer'" in command.err


def test_ready_archives_are_taken_as_they_are(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    byoc.ok("pack", model, "--output", tmp_path / "model.tar.gz")
    assert deploy(byoc, write_endpoint(tmp_path)).status == 0
    before = snapshot(account)
    assert deploy(byoc, write_endpoint(tmp_path, model="model.tar.gz")).status == 0
    assert snapshot(account) == before


def test_models_in_s3(account: Aws, byoc: Byoc, tmp_path: Path) -> None:
    """Archives in S3 are not copied; a changed object leads to an update."""
    account.s3.put_object(Bucket=BUCKET, Key="mine/model.tar.gz", Body=b"1")
    file = write_endpoint(tmp_path, model=f"s3://{BUCKET}/mine/model.tar.gz")
    assert deploy(byoc, file).status == 0
    before = snapshot(account)
    account.s3.put_object(Bucket=BUCKET, Key="mine/model.tar.gz", Body=b"2")
    assert deploy(byoc, file).status == 0
    after = snapshot(account)
    assert after["models"] != before["models"]
    assert after["objects"] == {"mine/model.tar.gz"}


def test_uncompressed_model_in_s3(account: Aws, byoc: Byoc, tmp_path: Path) -> None:
    account.s3.put_object(Bucket=BUCKET, Key="plain/double/config.pbtxt", Body=b"")
    assert deploy(byoc, write_endpoint(tmp_path, model=f"s3://{BUCKET}/plain/")).status == 0
    model = account.sagemaker.describe_model(ModelName=snapshot(account)["models"].pop())
    assert model["PrimaryContainer"]["ModelDataSource"]["S3DataSource"] == {
        "S3Uri": f"s3://{BUCKET}/plain/", "S3DataType": "S3Prefix", "CompressionType": "None"
    }  # fmt: skip


def test_everything_that_can_be_configured(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "candidate", code="candidate")
    result = deploy(
        byoc,
        write_endpoint(
            tmp_path,
            environment={"A": "1"},
            container_startup_health_check_timeout_in_seconds=600,
            model_data_download_timeout_in_seconds=900,
            volume_size_in_gb=30,
            variants=[
                {"name": "current", "weight": 9},
                {"name": "next", "model": "candidate", "instance_count": 2, "environment": {"B": "2"}},
            ],
            async_inference={"output": f"s3://{BUCKET}/out", "max_concurrent_invocations_per_instance": 4},
            data_capture={"destination": f"s3://{BUCKET}/record", "sampling_percentage": 10},
            vpc={"security_group_ids": ["sg-1"], "subnets": ["subnet-1"]},
            kms_key_id="alias/key",
            tags={"team": "vision"},
        ),
    )
    assert result.status == 0, result.err
    config: Any = account.sagemaker.describe_endpoint_config(
        EndpointConfigName=snapshot(account)["endpoints"]["classifier"][1]
    )
    current, candidate = config["ProductionVariants"]
    assert (current["InitialVariantWeight"], candidate["InitialInstanceCount"]) == (9.0, 2)
    assert current["ContainerStartupHealthCheckTimeoutInSeconds"] == 600
    assert current["ModelDataDownloadTimeoutInSeconds"] == 900
    assert current["VolumeSizeInGB"] == 30
    assert config["AsyncInferenceConfig"]["OutputConfig"]["S3OutputPath"] == f"s3://{BUCKET}/out"
    assert config["AsyncInferenceConfig"]["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 4}
    assert config["DataCaptureConfig"]["CaptureOptions"] == [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]
    assert config["DataCaptureConfig"]["InitialSamplingPercentage"] == 10
    assert config["KmsKeyId"] == "alias/key"
    described: Any = account.sagemaker.describe_model(ModelName=candidate["ModelName"])
    assert described["PrimaryContainer"]["Environment"] == {"A": "1", "B": "2"}
    assert described["VpcConfig"] == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    arn = account.sagemaker.describe_endpoint(EndpointName="classifier")["EndpointArn"]
    tags = {tag["Key"]: tag["Value"] for tag in account.sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    assert tags["team"] == "vision"


def test_new_tags_reach_an_endpoint_that_stays(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    deploy(byoc, write_endpoint(tmp_path))
    before = snapshot(account)
    deploy(byoc, write_endpoint(tmp_path, tags={"team": "vision"}))
    assert snapshot(account) == before
    arn = account.sagemaker.describe_endpoint(EndpointName="classifier")["EndpointArn"]
    assert {"Key": "team", "Value": "vision"} in account.sagemaker.list_tags(ResourceArn=arn)["Tags"]


def test_options_alone_are_enough(
    account: Aws, byoc: Byoc, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/triton-byoc:latest"
    options = ["--endpoint", "classifier", "--model", "repository", "--image", image, "--role", ROLE,
               "--instance-type", "ml.m5.large"]  # fmt: skip
    result = byoc.ok("deploy", *options, "--interval", "0.01")
    assert "classifier is InService" in result.out
    made = snapshot(account)
    monkeypatch.chdir(tmp_path.parent)
    assert deploy(byoc, write_endpoint(tmp_path)).status == 0
    assert snapshot(account) == made


def test_scaled_endpoint_keeps_its_instances(
    account: Aws, server: AwsServer, byoc: Byoc, model: Path, tmp_path: Path
) -> None:
    file = write_endpoint(tmp_path)
    deploy(byoc, file)
    byoc.ok("scale", "classifier", "--min", "1", "--max", "5", "--invocations", "100")
    account.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="classifier",
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}],
    )
    write_model(model, code="second")
    assert deploy(byoc, file).status == 0
    status = byoc.ok("status", "classifier", "--json").json
    assert status["variants"][0]["desired_instances"] == 3
    assert status["variants"][0]["scaling"]["maximum"] == 5


def test_prints_no_secret(account: Aws, server: AwsServer, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    file = write_endpoint(tmp_path, environment={"TOKEN": "hunter2"})
    runs = [
        byoc("deploy", file, "--plan"),
        deploy(byoc, file),
        deploy(byoc, file, "--json"),
        byoc("status", "classifier"),
    ]
    for result in runs:
        assert result.status == 0, result.err
        assert "hunter2" not in result.out + result.err
        assert "the-secret-that-nobody-prints" not in result.out + result.err


def test_log_that_may_not_be_read_hides_nothing(
    account: Aws, server: AwsServer, byoc: Byoc, model: Path, tmp_path: Path
) -> None:
    server.lifecycle.failures = ["out of capacity"]
    server.fault = Fault("DescribeLogStreams", code="AccessDeniedException")
    result = deploy(byoc, write_endpoint(tmp_path))
    assert result.status == 1
    assert "classifier is Failed: out of capacity" in result.err
    assert "(the log cannot be read: You are not allowed to call DescribeLogStreams" in result.err


def test_full_disk_is_one_line(byoc: Byoc, model: Path) -> None:
    result = byoc("pack", model, "--output", "/dev/full/model.tar.gz")
    assert (result.status, len(result.err.splitlines())) == (1, 1)
    assert "/dev/full" in result.err


def test_moved_archives_leave_nothing_where_they_were(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    account.s3.create_bucket(Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    deploy(byoc, write_endpoint(tmp_path))
    assert deploy(byoc, write_endpoint(tmp_path, upload_to="s3://elsewhere")).status == 0
    assert account.s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0
    assert account.s3.list_objects_v2(Bucket="elsewhere")["KeyCount"] == 1
