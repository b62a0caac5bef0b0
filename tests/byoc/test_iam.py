"""docs/iam.md lists the actions that each command calls."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from byoc.aws import Aws
from tests.byoc.aws_calls import Call
from tests.byoc.aws_server import AwsServer
from tests.byoc.conftest import BUCKET, Byoc, deploy, write_endpoint, write_model
from tests.triton import ROOT

PAGE = (ROOT / "docs" / "iam.md").read_text("utf-8")
RECORDED = {"deploy", "status", "logs", "scale", "delete", "invoke"}  # push and build: tests/docker

# IAM's action for a call of S3, where it is not the operation's name.
S3_ACTIONS = {
    "HeadBucket": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadObject": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "DeleteObjects": "DeleteObject",
}

# What AWS asks for without a call of its own: a role that is handed over, tags at creation, what scaling does.
IMPLIED = {
    "sagemaker:CreateModel": {"iam:PassRole", "sagemaker:AddTags"},
    "application-autoscaling:PutScalingPolicy": {
        "cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms", "iam:CreateServiceLinkedRole",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
    },
    "application-autoscaling:DeleteScalingPolicy": {"cloudwatch:DeleteAlarms"},
}  # fmt: skip


def documented() -> dict[str, set[str]]:
    """Command → actions, from the table."""
    needed: dict[str, set[str]] = defaultdict(set)
    for action, commands in re.findall(r"^\| `([\w-]+:\w+)` \| ([\w, ]+) \|", PAGE, flags=re.MULTILINE):
        for command in commands.split(", "):
            needed[command].add(action)
    return needed


def policies() -> list[dict[str, Any]]:
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)]


def actions(policy: dict[str, Any]) -> list[str]:
    listed = [statement["Action"] for statement in policy["Statement"]]
    return [action for entry in listed for action in ([entry] if isinstance(entry, str) else entry)]


def action_of(call: Call) -> str:
    operation = S3_ACTIONS.get(call.operation, call.operation) if call.service == "s3" else call.operation
    return f"{call.service}:{operation}"


class Recorder:
    """Runs `byoc` and keeps, by command, the actions of the calls that it made."""

    def __init__(self, byoc: Byoc, server: AwsServer) -> None:
        self._byoc, self._server = byoc, server
        self.needed: dict[str, set[str]] = defaultdict(set)

    def __call__(self, command: str, *arguments: object, status: int = 0) -> None:
        self._server.forget_calls()
        waits = ["--interval", "0.01"] if command in ("deploy", "delete") else []
        result = self._byoc(command, *arguments, *waits)
        assert result.status == status, result.err
        called = {action_of(call) for call in self._server.calls}
        implied = [IMPLIED[action] for action in called & IMPLIED.keys()]
        self.needed[command] |= called.union(*implied)


def test_the_table_is_what_the_commands_call(
    account: Aws, server: AwsServer, byoc: Byoc, model: Path, tmp_path: Path
) -> None:
    record = Recorder(byoc, server)
    server.lifecycle.failures = ["no reason"]
    account.logs.create_log_group(logGroupName="/aws/sagemaker/Endpoints/classifier")
    account.logs.create_log_stream(logGroupName="/aws/sagemaker/Endpoints/classifier", logStreamName="a/b")
    variants = [{"name": "one"}, {"name": "two"}]
    record("deploy", write_endpoint(tmp_path, variants=variants), status=1)
    record("deploy", write_endpoint(tmp_path, variants=variants))
    record("scale", "classifier", "--max", "3", "--invocations", "100")
    record("status", "classifier")
    record("logs", "classifier")
    account.s3.create_multipart_upload(Bucket=BUCKET, Key="triton-byoc/classifier/0/model.tar.gz")
    write_model(model, code="second")
    record("deploy", write_endpoint(tmp_path, variants=[{"name": "one"}], tags={"a": "b"}))
    for name in ("ada", "grace"):
        write_model(tmp_path / "tenants" / name)
        record("deploy", write_endpoint(tmp_path, variants=[{"name": "one"}], model=None, models="tenants"))
    record("scale", "classifier", "--off")
    record("scale", "classifier", "--max", "3", "--invocations", "100")
    asks(record, account, tmp_path)
    account.s3.create_multipart_upload(Bucket=BUCKET, Key="triton-byoc/classifier/0/model.tar.gz")
    record("delete", "classifier", "--yes")
    record("delete", "nobody", "--yes", status=1)
    page = documented()
    assert {command: wrong for command in RECORDED if (wrong := record.needed[command] ^ page[command])} == {}


def asks(record: Recorder, account: Aws, directory: Path) -> None:
    """Moto answers each kind of invocation itself; only the call is recorded."""
    (directory / "x.json").write_text("{}")
    record("invoke", "classifier", directory / "x.json")
    record("invoke", "classifier", directory / "x.json", "--async")
    record("invoke", "classifier", directory / "x.json", "--stream", status=1)


def test_plan_needs_what_only_reads(account: Aws, server: AwsServer, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    deploy(byoc, write_endpoint(tmp_path))
    server.forget_calls()
    write_model(model, code="second")
    byoc.ok("deploy", write_endpoint(tmp_path), "--plan")
    assert {
        call.operation for call in server.calls if not call.operation.startswith(("Describe", "List", "Get", "Head"))
    } == set()


def test_the_policy_is_the_table() -> None:
    listed = actions(policies()[0])
    assert sorted(listed) == sorted(set().union(*documented().values()))


@pytest.mark.parametrize("policy", policies(), ids=["caller", "trust", "role"])
def test_policies_allow_no_more_than_they_list(policy: dict[str, Any]) -> None:
    assert policy["Version"] == "2012-10-17"
    assert not [action for action in actions(policy) if "*" in action]
    assert {statement["Effect"] for statement in policy["Statement"]} == {"Allow"}
