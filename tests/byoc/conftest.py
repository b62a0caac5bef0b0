"""AWS over HTTP, a model, and `byoc` as a user runs it."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from botocore.loaders import JSONFileLoader

from byoc import aws
from byoc.__main__ import main
from byoc.aws import Aws
from tests.byoc.aws_server import AwsServer, running

REGION: Literal["eu-west-1"] = "eu-west-1"
ACCOUNT = "123456789012"
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"
REPOSITORY = "triton-byoc"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}:latest"
ROLE = "SageMakerExecutionRole"


@pytest.fixture(scope="session", autouse=True)
def _service_models_are_read_once() -> Iterator[None]:
    """Cache botocore's service models, megabytes of JSON, which every session would read again."""
    read = functools.cache(functools.partial(JSONFileLoader.load_file, JSONFileLoader()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda self, path: read(path))
        yield


@pytest.fixture(scope="session")
def _server() -> Iterator[AwsServer]:
    with running() as server:
        yield server


@pytest.fixture
def server(_server: AwsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AwsServer:
    """An empty AWS account, which the environment points to."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    environment = {
        "AWS_ENDPOINT_URL": _server.url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "the-secret-that-nobody-prints",
        "AWS_CONFIG_FILE": str(tmp_path / "aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    _server.reset()
    return _server


@pytest.fixture
def session(server: AwsServer) -> Aws:
    return aws.connect()


@pytest.fixture
def account(session: Aws, server: AwsServer) -> Aws:
    """An account with a bucket, a role and an image."""
    prepare_account(session)
    server.forget_calls()
    return session


def prepare_account(session: Aws) -> None:
    """Make the bucket, the role, and the image."""
    session.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    session.iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument="{}")
    session.ecr.create_repository(repositoryName=REPOSITORY)
    put_image(session, "latest", "first")


def put_image(session: Aws, tag: str, content: str) -> str:
    """Put an image manifest into the registry; its digest. Moto makes that of the layers' digests."""
    layer = {"digest": f"sha256:{hashlib.sha256(content.encode()).hexdigest()}", "size": 1}
    media_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "layers": [layer]})
    image = session.ecr.put_image(repositoryName=REPOSITORY, imageManifest=manifest, imageTag=tag)["image"]
    return image["imageId"]["imageDigest"]


def write_model(directory: Path, name: str = "double", code: str = "first") -> Path:
    """A Python-backend model that `serve` would load; the repository that holds it."""
    model = directory / name
    (model / "1").mkdir(parents=True, exist_ok=True)
    (model / "1" / "model.py").write_text(f"# {code}\n")
    (model / "config.pbtxt").write_text('backend: "python"\n')
    return directory


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "repository")


def write_endpoint(directory: Path, **keys: object) -> Path:
    """An `endpoint.yaml` for the account of the fixtures; None leaves a key out."""
    content = {
        "endpoint": "classifier",
        "role": ROLE,
        "image": IMAGE,
        "model": "repository",
        "instance_type": "ml.m5.large",
    } | keys
    file = directory / "endpoint.yaml"
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}, indent=1))
    return file


@dataclass(frozen=True)
class Result:
    """The outcome of a run of `byoc`."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Byoc:
    """Runs `byoc` in this process, through `main()`, exit status and all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: object) -> Result:
        self._capsys.readouterr()
        self._monkeypatch.setattr("sys.argv", ["byoc", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as exit_:
            status = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        out, err = self._capsys.readouterr()
        return Result(status, out, err)

    def ok(self, *arguments: object) -> Result:
        """Run a command that has to succeed."""
        result = self(*arguments)
        assert result.status == 0, result.err
        return result


@pytest.fixture
def byoc(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Byoc:
    return Byoc(monkeypatch, capsys)


def deploy(byoc: Byoc, file: Path, *options: str) -> Result:
    """`byoc deploy` with a short polling interval."""
    return byoc("deploy", file, "--interval", "0.01", *options)


def snapshot(session: Aws) -> dict[str, Any]:
    """Everything in the account that a deployment could have created."""
    sagemaker, autoscaling = session.sagemaker, session.autoscaling
    endpoints = [one["EndpointName"] for one in sagemaker.list_endpoints()["Endpoints"]]
    described = [sagemaker.describe_endpoint(EndpointName=name) for name in endpoints]
    buckets = [one["Name"] for one in session.s3.list_buckets()["Buckets"]]
    return {
        "endpoints": {one["EndpointName"]: (one["EndpointStatus"], one["EndpointConfigName"]) for one in described},
        "configs": {one["EndpointConfigName"] for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]},
        "models": {one["ModelName"] for one in sagemaker.list_models()["Models"]},
        "objects": {key for bucket in buckets for key in _keys(session, bucket)},
        "uploads": {key for bucket in buckets for key in _unfinished(session, bucket)},
        "scaling": {
            one["ResourceId"]: (one["MinCapacity"], one["MaxCapacity"])
            for one in autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        },
        "policies": [
            one["PolicyName"]
            for one in autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
        ],
    }


def _keys(session: Aws, bucket: str) -> list[str]:
    return [one["Key"] for one in session.s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def _unfinished(session: Aws, bucket: str) -> list[str]:
    return [one["Key"] for one in session.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]
