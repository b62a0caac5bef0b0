"""Wrong inputs: each gets one clear line and a non-zero status before anything is created."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from byoc import aws
from byoc.aws import Aws
from tests.byoc.aws_server import AwsServer, Fault
from tests.byoc.conftest import ACCOUNT, BUCKET, IMAGE, Byoc, deploy, snapshot, write_endpoint, write_model

Keys = dict[str, object]

KEYS: dict[str, tuple[Keys, str]] = {
    "no such key": ({"instance_typ": "ml.m5.large"}, r"yaml:7: instance_typ: unknown key, did you mean instance_type"),
    "missing key": ({"role": None}, r"endpoint.yaml: role: required key is missing"),
    "missing instance type": ({"instance_type": None}, r"endpoint.yaml: instance_type: required key is missing"),
    "unknown instance type": (
        {"instance_type": "ml.g5.xlrage"},
        r"endpoint.yaml:6: instance_type: 'ml.g5.xlrage' is not an instance type .* did you mean ml.g5.xlarge",
    ),
    "wrong name": ({"endpoint": "my_endpoint"}, r"endpoint.yaml:2: endpoint: 'my_endpoint' should match"),
    "number for a variable": ({"environment": {"A": 1}}, r"environment.A: should be a valid string \(put numbers"),
    "wrong variable": ({"environment": {"A-B": "1"}}, r"environment: 'A-B' is not the name of an environment variable"),
    "two models": ({"models": "tenants"}, r"both `model` and `models` are set"),
    "no model": ({"model": None}, r"model: variant 'AllTraffic' needs either `model` or `models`"),
    "cache for one model": ({"model_cache": "Enabled"}, r"yaml:\d+: model_cache: can only be set with `models`"),
    "time-out too long": ({"container_startup_health_check_timeout_in_seconds": 7200}, r"7200 should be less than"),
    "two variants of a name": ({"variants": [{"name": "a"}, {"name": "a"}]}, r"variants: two have the same name"),
    "no S3 address": ({"upload_to": "my-bucket"}, r"endpoint.yaml:7: upload_to: 'my-bucket' is not an S3 address"),
    "missing directory": ({"model": "nowhere"}, r"model: .*/nowhere does not exist"),
    "no image": ({"image": "nonsense"}, r"endpoint.yaml:4: image: 'nonsense' is not an image"),
    "image elsewhere": ({"image": "docker.io/me/x:1"}, r"image: docker.io/me/x:1 is not in an ECR registry.*byoc push"),
    "image in another region": (
        {"image": IMAGE.replace("eu-west-1", "us-east-1")},
        r"image: .* is in us-east-1, but the endpoint is in eu-west-1.*region: us-east-1",
    ),
    "no such tag": ({"image": IMAGE.replace("latest", "v9")}, r"image: registry \d+ has no tag 'v9' in repository"),
    "no such repository": ({"image": IMAGE.replace("triton-byoc", "xyz")}, r"image: .* has no repository 'xyz'.*push"),
    "no such role": ({"role": "Nobody"}, r"role: this account has no role named 'Nobody'.*docs/iam.md"),
    "no such bucket": ({"upload_to": "s3://nowhere-at-all"}, r"no bucket 'nowhere-at-all'.*aws s3 mb"),
    "bucket in another region": ({"upload_to": "s3://far-away/x"}, r"'far-away' is in us-west-2, not in eu-west-1"),
    "no such object": ({"model": f"s3://{BUCKET}/x.tar.gz"}, r"model: there is no object s3://"),
    "nothing at prefix": ({"model": None, "models": f"s3://{BUCKET}/none/"}, r"models: there is nothing at s3://"),
    "no such bucket for models": ({"model": None, "models": "s3://nowhere-at-all/"}, r"models: there is nothing at s3://nowhere-at-all/"),
    "region that is none": ({"region": "europe"}, r"region: 'europe' is not the name of an AWS region"),
}  # fmt: skip


@pytest.mark.parametrize("case", KEYS)
def test_wrong_key(account: Aws, server: AwsServer, byoc: Byoc, model: Path, tmp_path: Path, case: str) -> None:
    aws.connect("us-west-2").s3.create_bucket(
        Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    keys, expected = KEYS[case]
    before = snapshot(account)
    refused(deploy(byoc, write_endpoint(tmp_path, **keys)), expected)
    assert snapshot(account) == before


def refused(result: object, expected: str, status: int = 1) -> None:
    """Assert status 1 and one line that says what is expected."""
    assert getattr(result, "status", None) == status
    err = str(getattr(result, "err", ""))
    assert re.search(expected, err), err
    assert len(err.splitlines()) == 1, err
    assert "Traceback" not in err


FILES: dict[str, tuple[str, str]] = {
    "YAML": ("endpoint: a\nrole: [b\n", r"endpoint.yaml:3: not valid YAML"),
    "twice": ("endpoint: a\nrole: b\nendpoint: c\n", r"endpoint.yaml:3: endpoint: duplicate key \(first on line 1\)"),
    "a list": ("- endpoint\n", r"endpoint.yaml: expected keys and values.*byoc init"),
    "empty": ("", r"endpoint.yaml: expected keys and values"),
    "tab": ("endpoint:\n\t- a\n", r"endpoint.yaml:2: not valid YAML"),
}


@pytest.mark.parametrize("case", FILES)
def test_wrong_file(server: AwsServer, byoc: Byoc, tmp_path: Path, case: str) -> None:
    content, expected = FILES[case]
    (tmp_path / "endpoint.yaml").write_text(content)
    refused(deploy(byoc, tmp_path / "endpoint.yaml"), expected)
    assert server.calls == []


def test_no_file(byoc: Byoc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(deploy(byoc, tmp_path / "nowhere.yaml"), r"nowhere.yaml: no such file.*byoc init")
    monkeypatch.chdir(tmp_path)
    refused(byoc("deploy"), r"there is no endpoint.yaml here.*byoc init")


def test_wrong_options(byoc: Byoc) -> None:
    result = byoc("deploy", "--instance-type", "ml.none", "--endpoint", "x")
    assert result.status == 1
    assert "--instance-type: 'ml.none' is not an instance type" in result.err
    assert "--role: required key is missing" in result.err
    assert byoc("deploy", "-e", "novalue").status == 2
    assert byoc("deploy", "--no-such-option").status == 2
    assert byoc("scale", "x").status == 2


def test_all_that_is_wrong_is_told_at_once(byoc: Byoc, tmp_path: Path) -> None:
    result = deploy(byoc, write_endpoint(tmp_path, role=None, image="x", instance_type="y"))
    assert len(result.err.splitlines()) == 3


ARCHIVES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no model": (lambda model: (model / "double").rename(model / ".double"), r"it holds no model"),
    "wrong configuration": (lambda model: (model / "double" / "config.pbtxt").write_text("{"), r"pbtxt:1: this is not"),
    "broken link": (lambda model: (model / "double" / "x").symlink_to("nowhere"), r"is a broken link"),
    "two models": (lambda model: write_model(model, "other"), r"it holds 2 models(.|\n)*under `environment:`"),
}  # fmt: skip


@pytest.mark.parametrize("case", ARCHIVES)
def test_model_that_serve_would_refuse(account: Aws, byoc: Byoc, model: Path, tmp_path: Path, case: str) -> None:
    spoil, expected = ARCHIVES[case]
    spoil(model)
    result = deploy(byoc, write_endpoint(tmp_path))
    assert result.status == 1
    assert re.search(expected, result.err), result.err
    assert snapshot(account)["objects"] == set()


@pytest.mark.parametrize(
    "operation",
    ["DescribeEndpoint", "GetCallerIdentity", "DescribeImages", "HeadBucket", "GetRole", "PutObject", "CreateModel",
     "CreateEndpointConfig", "CreateEndpoint"],
)  # fmt: skip
def test_denied(account: Aws, server: AwsServer, byoc: Byoc, model: Path, tmp_path: Path, operation: str) -> None:
    message = f"User: arn:aws:iam::{ACCOUNT}:user/me is not authorized to perform: x:{operation} on resource: y"
    server.fault = Fault(operation, code="AccessDeniedException", message=message)
    result = deploy(byoc, write_endpoint(tmp_path))
    assert result.status == 1
    assert re.search("not allowed to|not authorized", result.err), result.err
    assert re.search("Ask (for|.*permission)", result.err), result.err


def test_endpoint_of_somebody_else(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    sagemaker = account.sagemaker
    sagemaker.create_model(
        ModelName="theirs", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn="arn:aws:iam::1:role/x"
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName="theirs",
        ProductionVariants=[
            {"VariantName": "a", "ModelName": "theirs", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        ],
    )
    sagemaker.create_endpoint(EndpointName="classifier", EndpointConfigName="theirs")
    for command in (["deploy", write_endpoint(tmp_path)], ["delete", "classifier", "--yes"],
                    ["scale", "classifier", "--max", "3", "--invocations", "9"]):  # fmt: skip
        refused(byoc(*command), r"endpoint: 'classifier' exists, but `byoc deploy` did not create it.*another name")
    assert "classifier" in byoc.ok("status", "classifier").out


def test_no_such_endpoint(account: Aws, byoc: Byoc) -> None:
    refused(byoc("status", "nobody"), r"There is no endpoint 'nobody' in eu-west-1")
    refused(byoc("delete", "nobody", "--yes"), r"There is no deployment 'nobody' in eu-west-1")
    refused(byoc("logs", "nobody"), r"There are no logs of an endpoint 'nobody'")
    refused(byoc("scale", "nobody", "--off"), r"There is no endpoint 'nobody'")


def test_no_credentials(server: AwsServer, byoc: Byoc, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    refused(byoc("status", "x"), r"No usable AWS credentials .*aws configure")


def test_no_region(server: AwsServer, byoc: Byoc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    refused(byoc("status", "x"), r"No AWS region is set. Pass --region")


def test_no_such_profile(server: AwsServer, byoc: Byoc) -> None:
    refused(byoc("status", "x", "--profile", "nobody"), r"--profile: .*nobody.*aws configure list-profiles")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ExpiredTokenException", r"credentials have expired.*aws sso login"),
        ("UnrecognizedClientException", r"AWS does not accept the credentials"),
        ("SignatureDoesNotMatch", r"AWS does not accept the credentials"),
        ("ThrottledByTheTest", r"DescribeEndpoint: x-amz-security-token:quoted \(ThrottledByTheTest\)"),
    ],
)
def test_what_aws_refuses(server: AwsServer, byoc: Byoc, code: str, expected: str) -> None:
    server.fault = Fault("DescribeEndpoint", code=code, message="x-amz-security-token:quoted")
    result = byoc("status", "x")
    refused(result, expected)
    assert "quoted" not in result.err or "Throttled" in code


def test_aws_cannot_be_reached(server: AwsServer, byoc: Byoc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    refused(byoc("status", "x"), r"AWS cannot be reached: .*127.0.0.1:9")


def test_json_stays_json_in_failure(server: AwsServer, byoc: Byoc) -> None:
    """Only the result is printed to stdout."""
    result = byoc("status", "x", "--json")
    assert (result.status, result.out) == (1, "")


def test_delete_asks_first(
    account: Aws, byoc: Byoc, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(byoc, write_endpoint(tmp_path))
    before = snapshot(account)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    result = byoc("delete", "classifier")
    assert result.status == 1
    assert "endpoint configuration" in result.out
    assert snapshot(account) == before
