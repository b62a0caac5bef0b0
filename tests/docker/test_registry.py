"""`byoc push` to a real OCI registry, and to Amazon ECR: moto plays its API, the real registry keeps the layers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from docker import DockerClient
from docker.errors import ImageNotFound

from byoc import aws
from byoc.aws import Aws
from byoc.aws.ecr import Login
from byoc.errors import ConfigurationError, ImageError, RegistryError
from byoc.image import registry
from byoc.image.built_image import BuiltImage
from byoc.image.registry import Pushed
from tests.docker.conftest import Byoc
from tests.docker.registries import HTPASSWD, REGION, docker_registry, ecr

# The first test that runs has the image built.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

# Of moto's making: no secret of anyone.
LOGIN = Login("AWS", "123456789012-auth-token")


@pytest.fixture(scope="module")
def open_registry(client: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def guarded_registry(client: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that accepts ECR's token."""
    with docker_registry(tmp_path_factory.mktemp("guarded"), htpasswd=HTPASSWD) as address:
        yield address


@pytest.fixture
def session(guarded_registry: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with ecr(guarded_registry) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        monkeypatch.setenv("AWS_REGION", REGION)
        yield aws.connect(REGION)


@pytest.fixture(scope="module")
def small(client: DockerClient, cpu_base: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with layers of its own that is pushed in no time."""
    context = tmp_path_factory.mktemp("small")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\nCMD ['nothing']\n")
    client.images.build(path=str(context), tag="triton-byoc:test-small", rm=True)
    return "triton-byoc:test-small"


def test_push_and_pull_back(client: DockerClient, built: BuiltImage, open_registry: str) -> None:
    """The whole image: the registry has every layer, and pulled by its digest it is the same one."""
    pushed = registry.push(built.tag, f"{open_registry}/triton-byoc", "1")
    assert pushed.reference == f"{open_registry}/triton-byoc:1"
    for blob in blobs(open_registry, "triton-byoc", pushed.digest):
        answer = requests.head(f"http://{open_registry}/v2/triton-byoc/blobs/{blob['digest']}", timeout=10)
        assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(blob["size"]))
    client.images.remove(pushed.reference)
    with pytest.raises(ImageNotFound):
        client.images.get(pushed.uri)
    registry.ensure_local(client, pushed.uri)
    assert client.images.get(pushed.uri).id == built.id


def blobs(address: str, repository: str, digest: str) -> list[dict[str, Any]]:
    """Return the digests in a manifest: the configuration and the layers."""
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    answer = requests.get(f"http://{address}/v2/{repository}/manifests/{digest}", headers=accept, timeout=10)
    manifest = answer.json()
    assert len(manifest["layers"]) > 5
    return [manifest["config"], *manifest["layers"]]


def test_push_again_changes_nothing(small: str, open_registry: str) -> None:
    first = registry.push(small, f"{open_registry}/again", "1")
    assert registry.push(small, f"{open_registry}/again", "1") == first


def test_ecr(client: DockerClient, session: Aws, small: str, guarded_registry: str) -> None:
    """The repository is created with scan on push, after a login."""
    pushed = registry.push_to_ecr(session, small, "team/new", "v1")
    assert pushed.uri == f"{guarded_registry}/team/new@{pushed.digest}"
    [repository] = session.ecr.describe_repositories()["repositories"]
    assert repository["repositoryName"] == "team/new"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["imageTagMutability"] == "MUTABLE"
    pulled = client.images.pull(f"{guarded_registry}/team/new", "v1", auth_config=LOGIN.config())
    assert pulled.id == client.images.get(small).id


def test_ecr_repository_that_exists(session: Aws, small: str) -> None:
    """An existing repository keeps its settings, except with `--immutable`."""
    session.ecr.create_repository(repositoryName="old", tags=[{"Key": "team", "Value": "vision"}])
    registry.push_to_ecr(session, small, "old", "v1")
    assert mutability(session, "old") == "MUTABLE"
    registry.push_to_ecr(session, small, "old", "v2", immutable=True)
    assert mutability(session, "old") == "IMMUTABLE"
    registry.push_to_ecr(session, small, "old", "v3")
    assert mutability(session, "old") == "IMMUTABLE"


def test_ecr_repository_made_immutable(session: Aws, small: str) -> None:
    registry.push_to_ecr(session, small, "frozen", "v1", immutable=True)
    assert mutability(session, "frozen") == "IMMUTABLE"


def mutability(session: Aws, name: str) -> str:
    return session.ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["imageTagMutability"]


def test_wrong_password(small: str, guarded_registry: str) -> None:
    with pytest.raises(RegistryError, match=r"pushing .*/x:1: .* Log in with `docker login`"):
        registry.push(small, f"{guarded_registry}/x", "1", Login("AWS", "wrong"))


def test_nobody_answers(small: str) -> None:
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1:9/x:1: .*refused.* Check the registry's name"):
        registry.push(small, "127.0.0.1:9/x", "1")


def test_no_such_image(client: DockerClient, open_registry: str) -> None:
    with pytest.raises(
        ImageError, match=r"the Docker engine has no image 'triton-byoc:never'. Build it with `byoc build`"
    ):
        registry.push("triton-byoc:never", f"{open_registry}/x", "1")


@pytest.mark.parametrize("name", ["UPPER/case", "host/na me", "host/x"])
def test_bad_name(small: str, name: str) -> None:
    tag = "not a tag" if name == "host/x" else "1"
    with pytest.raises(ConfigurationError, match=r"A repository is HOST/NAME in lower case"):
        registry.push(small, name, tag)


def test_command_prints_the_digest(session: Aws, small: str, guarded_registry: str, byoc: Byoc) -> None:
    ended = byoc("push", small, "--repository", "cli", "--immutable", "--json")
    assert ended.status == 0, ended.stderr
    printed = json.loads(ended.stdout)
    assert printed["reference"] == f"{guarded_registry}/cli:test-small"
    assert printed["uri"] == f"{guarded_registry}/cli@{printed['digest']}"
    assert mutability(session, "cli") == "IMMUTABLE"


def test_command_to_another_registry(small: str, open_registry: str, byoc: Byoc) -> None:
    ended = byoc("push", small, "--registry", open_registry, "--tag", "v9")
    assert ended.status == 0, ended.stderr
    assert ended.stdout.startswith(f"{open_registry}/triton-byoc@sha256:")


def test_immutable_is_for_ecr(small: str, open_registry: str, byoc: Byoc) -> None:
    ended = byoc("push", small, "--registry", open_registry, "--immutable")
    assert (ended.status, ended.stdout) == (1, "")
    assert f"--immutable: {open_registry} is not Amazon ECR" in ended.stderr


def test_uri_of_a_pushed_image() -> None:
    assert Pushed("host:5000/name:v1", "sha256:00").uri == "host:5000/name@sha256:00"
