"""byoc.container.docker: what keeps a container from starting, how it is confined, and how its end reads."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from socket import create_server

import pytest
from docker import DockerClient

from byoc.container.docker import LABEL, MODEL_DIR, DockerOptions, running_container, start_container
from byoc.container.ports import reserved_ports
from byoc.errors import ContainerError
from byoc.image.built_image import BuiltImage
from tests.docker.container import output_in
from tests.serve.processes import await_true

# The first test that runs has the image built.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

IDLE = DockerOptions(command=("sleep", "300"))
DEAF = DockerOptions(command=("bash", "-c", "trap '' TERM; sleep 300 & wait; sleep 300"))


def ours(client: DockerClient) -> set[str]:
    """The ids of the containers that this process has started."""
    return {found.id or "" for found in client.containers.list(all=True, filters={"label": f"{LABEL}={os.getpid()}"})}


def test_an_image_that_is_not_there(client: DockerClient) -> None:
    with pytest.raises(ContainerError, match=r"triton-byoc:none cannot be started: No such image"):
        start_container(client, "triton-byoc:none", IDLE)


def test_a_bad_value(client: DockerClient, built: BuiltImage) -> None:
    with pytest.raises(ContainerError, match="SAGEMAKER_BIND_TO_PORT='eighty': expected"):
        start_container(client, built.tag, DockerOptions({"SAGEMAKER_BIND_TO_PORT": "eighty"}))


def test_a_port_in_use_leaves_no_container(client: DockerClient, built: BuiltImage) -> None:
    before = ours(client)
    with (
        reserved_ports() as ports,
        closing(create_server(("", ports[0]))),
        pytest.raises(ContainerError, match=r"cannot be started: .*address already in use"),
    ):
        start_container(client, built.tag, DockerOptions(command=("sleep", "300"), port=ports[0]))
    assert ours(client) == before


def test_one_that_ends_at_once_is_removed(client: DockerClient, built: BuiltImage) -> None:
    """It has no model: the error has what `serve` said, whether or not it ended before its port was looked up."""
    before = ours(client)
    with pytest.raises(ContainerError, match="/opt/ml/model"):
        running_container(client, built.tag, DockerOptions()).__enter__()
    assert ours(client) == before


def test_it_has_what_sagemaker_gives(client: DockerClient, built: BuiltImage, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    options = DockerOptions({"SAGEMAKER_X": "y"}, {MODEL_DIR: tmp_path}, IDLE.command)
    before = ours(client)
    with start_container(client, built.tag, options) as container:
        assert ours(client) - before == {container.container.id}
        assert output_in(container, "cat", f"{MODEL_DIR}/file") == "content"
        assert f" {MODEL_DIR} " in output_in(container, "grep", " ro,", "/proc/mounts")
        assert output_in(container, "df", "--output=size", "--block-size=1", "/dev/shm").split()[1] == "67108864"
        assert output_in(container, "printenv", "SAGEMAKER_X") == "y\n"
        assert container.url.startswith("http://127.0.0.1:")
        assert container.ping(1) is None
    assert ours(client) == before


def test_its_exit_status(client: DockerClient, built: BuiltImage) -> None:
    options = DockerOptions(command=("bash", "-c", "echo ready; trap 'exit 7' TERM; sleep 300 & wait"))
    with start_container(client, built.tag, options) as container:
        await_true(lambda: container.output() == "ready\n", "it handles SIGTERM")
        assert container.exit_status() is None
        assert container.stop(10) == 7
        assert b"".join(container.follow()) == b"ready\n"
        assert (container.exit_status(), container.stop()) == (7, 7)
        assert container.output() == "ready\n"


def test_killed(client: DockerClient, built: BuiltImage) -> None:
    with start_container(client, built.tag, IDLE) as container:
        container.kill()
        assert container.exit_status() == 137


def test_one_that_does_not_stop_is_killed(client: DockerClient, built: BuiltImage) -> None:
    with (
        start_container(client, built.tag, DEAF) as container,
        pytest.raises(ContainerError, match=r"container \w+ did not stop within 1 s and was killed"),
    ):
        container.stop(1)
