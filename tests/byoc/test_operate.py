"""`byoc status`, `byoc logs`, `byoc scale`, `byoc delete`."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from byoc.aws import Aws
from byoc.endpoint import container_logs
from tests.byoc.aws_server import AwsServer
from tests.byoc.conftest import BUCKET, Byoc, deploy, snapshot, write_endpoint, write_model

GROUP = "/aws/sagemaker/Endpoints/classifier"


@pytest.fixture
def endpoint(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> Aws:
    """An account with an endpoint."""
    assert deploy(byoc, write_endpoint(tmp_path)).status == 0
    return account


def write_logs(session: Aws, **streams: Iterable[tuple[int, str]]) -> None:
    """Stream → its lines, each with the milliseconds after a minute ago."""
    start = int((time.time() - 60) * 1000)
    if not session.logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]:
        session.logs.create_log_group(logGroupName=GROUP)
    for stream, lines in streams.items():
        events: Any = [{"timestamp": start + after, "message": text} for after, text in lines]
        if not session.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=stream)["logStreams"]:
            session.logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
        session.logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)


def messages(text: str) -> list[str]:
    return [line.partition("  ")[2] for line in text.splitlines()]


def test_logs_of_all_instances_by_time(account: Aws, byoc: Byoc) -> None:
    write_logs(account, one=[(1, "a"), (30, "d")], two=[(10, "b\n"), (20, "c")])
    assert messages(byoc.ok("logs", "classifier").out) == ["a", "b", "c", "d"]
    assert byoc.ok("logs", "classifier", "--minutes", "0").out == ""


def test_tail_is_the_end(account: Aws) -> None:
    write_logs(account, one=[(number, str(number)) for number in range(0, 100, 2)], two=[(51, "x"), (97, "y")])
    assert [event.message for event in container_logs.tail(account, "classifier", 3)] == ["96", "y", "98"]
    assert container_logs.tail(account, "nobody", 3) == []


def test_follow_prints_each_line_once(account: Aws, byoc: Byoc, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes while it waits, at the same millisecond too, and then Ctrl-C."""
    write_logs(account, one=[(1, "a"), (2, "b")])
    waits = itertools.count()

    def meanwhile(seconds: float) -> None:
        match next(waits):
            case 0:
                write_logs(account, two=[(2000, "c"), (3000, "d")])
            case 1:
                write_logs(account, two=[(4000, "e")])
            case 2:
                raise KeyboardInterrupt

    monkeypatch.setattr("byoc.endpoint.container_logs.time.sleep", meanwhile)
    result = byoc("logs", "classifier", "--follow")
    assert (result.status, messages(result.out)) == (130, ["a", "b", "c", "d", "e"])


def test_status(endpoint: Aws, byoc: Byoc) -> None:
    shown = byoc.ok("status", "classifier").out
    assert "classifier  InService" in shown
    assert "AllTraffic  1/1 ml.m5.large  weight 1" in shown
    assert f"s3://{BUCKET}/triton-byoc/classifier/" in shown
    found = byoc.ok("status", "classifier", "--json").json
    assert (found["status"], found["variants"][0]["image"][:12]) == ("InService", "123456789012")
    assert found["variants"][0]["scaling"] is None


def test_scale_and_back(endpoint: Aws, byoc: Byoc) -> None:
    scaled = ["scale", "classifier", "--min", "2", "--max", "5", "--invocations", "600"]
    assert byoc.ok(*scaled).out == "AllTraffic: 2 to 5 instances, target 600 requests per instance per minute\n"
    assert "scaled 2 to 5 instances, target 600" in byoc.ok("status", "classifier").out
    policies = endpoint.autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    tracking: Any = policies[0]["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    }
    changed = byoc.ok(*scaled[:-1], "50", "--scale-in-cooldown", "60", "--json").json
    assert (changed[0]["invocations_per_instance"], changed[0]["scale_in_cooldown"]) == (50, 60)
    assert byoc.ok("scale", "classifier", "--off").out == "AllTraffic: not scaled\n"
    assert snapshot(endpoint)["policies"] == []
    assert byoc.ok("scale", "classifier", "--off").out == "AllTraffic: not scaled\n"


def test_scale_one_variant(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    deploy(byoc, write_endpoint(tmp_path, variants=[{"name": "one"}, {"name": "two"}]))
    byoc.ok("scale", "classifier", "--variant", "two", "--max", "3", "--invocations", "9")
    assert list(snapshot(account)["scaling"]) == ["endpoint/classifier/variant/two"]
    wrong = byoc("scale", "classifier", "--variant", "three", "--max", "3", "--invocations", "9")
    assert (wrong.status, "has no variant 'three'. It has: one, two" in wrong.err) == (1, True)
    assert deploy(byoc, write_endpoint(tmp_path, variants=[{"name": "one"}])).status == 0
    assert snapshot(account)["scaling"] == {}


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


def test_moved_archives_leave_nothing_where_they_were(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    account.s3.create_bucket(Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    deploy(byoc, write_endpoint(tmp_path))
    assert deploy(byoc, write_endpoint(tmp_path, upload_to="s3://elsewhere")).status == 0
    assert account.s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0
    assert account.s3.list_objects_v2(Bucket="elsewhere")["KeyCount"] == 1
