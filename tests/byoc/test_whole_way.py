"""pack → build → push → deploy → status → invoke → scale → delete, as separate commands.

AWS is moto, the layers go to a real registry, and what answers is a container of our image, pulled by its digest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from docker import DockerClient

from byoc.aws import Aws
from byoc.aws.ecr import Login
from byoc.container.docker import DockerOptions, running_container
from tests.byoc.conftest import ACCOUNT, REGION, REPOSITORY, Byoc, deploy, snapshot, write_endpoint
from tests.byoc.real_models import npy, write_real_model
from tests.byoc.runtime_shim import Runner, hosting
from tests.docker.conftest import client, cpu_base
from tests.docker.registries import HTPASSWD, docker_registry, ecr
from tests.triton import ROOT

# Pushing the image, 1.7 GB with the CPU base, takes minutes on a machine that is busy.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(1500)]

__all__ = ["client", "cpu_base"]  # fixtures

LOCAL = "triton-byoc:whole-way"
LOGIN = Login("AWS", f"{ACCOUNT}-auth-token")


@pytest.fixture(scope="module")
def pushed(client: DockerClient, cpu_base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image's name in the registry, by its digest; made by `byoc build` and `byoc push`."""
    directory = tmp_path_factory.mktemp("registry")
    with docker_registry(directory, htpasswd=HTPASSWD) as address, ecr(address) as ecr_url:
        keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": REGION}
        environment = {**os.environ, **keys, "AWS_ENDPOINT_URL": ecr_url}
        run(environment, "build", "--base", cpu_base, "--source", str(ROOT), "--tag", LOCAL)
        uri = json.loads(run(environment, "push", LOCAL, "--repository", REPOSITORY, "--json"))["uri"]
        client.images.pull(uri, auth_config=LOGIN.config())
        yield uri


def run(environment: Mapping[str, str], *arguments: str) -> str:
    """Run `byoc` as a program and return its output."""
    command = [sys.executable, "-m", "byoc", *arguments]
    return subprocess.run(command, env=environment, check=True, text=True, stdout=subprocess.PIPE).stdout


def in_docker(client: DockerClient, image: str) -> Runner:
    @contextmanager
    def start(directory: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        directory.mkdir(exist_ok=True)
        options = DockerOptions(environment, mounts={"/opt/ml": directory})
        with running_container(client, image, options) as served:
            yield served.url, "/opt/ml"

    return start


@pytest.mark.parametrize("many", [False, True], ids=["single-model", "multi-model"])
def test_whole_way(
    pushed: str,
    byoc: Byoc,
    account: Aws,
    client: DockerClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    many: bool,
) -> None:
    write_real_model(tmp_path / "models" / "ada", "scale", factor=3)
    packed = byoc.ok(
        "pack", tmp_path / "models", "--json", *(["--multi-model"] if many else []), "-o", tmp_path / "out"
    )
    assert [one["models"] for one in packed.json] == [["ada"]]

    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}@{pushed.partition('@')[2]}"
    model = {"models": "out", "model": None} if many else {"model": "out"}
    file = write_endpoint(tmp_path, image=image, **model)
    assert len(byoc.ok("deploy", file, "--plan").out.splitlines()) == 4
    result = deploy(byoc, file)
    assert result.status == 0, result.err
    assert f"image  {image}" in byoc.ok("status", "classifier").out

    file = npy(tmp_path / "x.npy", 7)
    target = ["--target-model", "ada.tar.gz"] if many else []
    with hosting(account, "classifier", tmp_path / "opt-ml", run=in_docker(client, pushed)) as hosted:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", hosted.url)
        answer = byoc.ok("invoke", "classifier", file, "--kserve", "binary", "--input", "x", *target)
        assert answer.out == "y float32[1, 1]: 21\n"

    assert "1 to 3 instances" in byoc.ok("scale", "classifier", "--max", "3", "--invocations", "60").out
    byoc.ok("delete", "classifier", "--yes", "--interval", "0.01")
    assert not any(snapshot(account).values())
