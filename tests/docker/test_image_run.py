"""`python -m byoc.container`, which `make image-run` runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from docker import DockerClient
from docker.models.containers import Container

from byoc.image.built_image import BuiltImage
from tests.triton import free_ports

# The first test that runs has the image built.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

PROGRAM = (sys.executable, "-m", "byoc.container")


def test_serves_an_archive(client: DockerClient, built: BuiltImage, archive: Path, tmp_path: Path) -> None:
    """An archive is unpacked, mounted read-only with 64 MB of /dev/shm, and gone again after Ctrl-C."""
    [port] = free_ports(1)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "PORT": str(port), "TMPDIR": str(scratch)}
    with subprocess.Popen(
        [*PROGRAM, built.tag, archive], env=environment, start_new_session=True, preexec_fn=heed_ctrl_c
    ) as process:
        try:
            await_ping(f"http://127.0.0.1:{port}", process)
            [container] = publishing(client, port)
            host = container.attrs["HostConfig"]
            assert host["ShmSize"] == 64 * 1024 * 1024
            assert host["Binds"][0].endswith(":/opt/ml/model:ro")
        finally:
            os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
    assert publishing(client, port) == []
    assert list(scratch.iterdir()) == []


def test_a_model_that_is_not_there(built: BuiltImage, tmp_path: Path) -> None:
    missing = tmp_path / "nothing.tar.gz"
    done = subprocess.run([*PROGRAM, built.tag, missing], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"byoc.container: {missing}: no such directory or archive\n")


def test_a_bad_port(built: BuiltImage) -> None:
    command = [*PROGRAM, built.tag]
    done = subprocess.run(command, env={**os.environ, "PORT": "0"}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "byoc.container: PORT='0': expected a whole number from 1 to 65535\n",
    )


def heed_ctrl_c() -> None:
    """As in a terminal. What a script has started in the background ignores Ctrl-C, and hands that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def await_ping(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if requests.get(f"{url}/ping", timeout=2).status_code == 200:
                return
        except requests.ConnectionError:
            assert process.poll() is None, "it has ended"
        assert time.monotonic() < deadline, "/ping was not 200 within 60 s"
        time.sleep(0.1)


def publishing(client: DockerClient, port: int) -> list[Container]:
    """The running containers that are reached through a port of this machine."""
    return [
        container
        for container in client.containers.list()
        if str(port) in [address["HostPort"] for published in container.ports.values() for address in published or ()]
    ]
