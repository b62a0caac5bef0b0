"""Run a container of the image for as long as a `with` block lasts, the way SageMaker runs it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from docker import DockerClient
from docker.models.containers import Container

READY_SECONDS = 90.0
RAW = "application/vnd.sagemaker-triton.binary+json;json-header-size=0"


class ContainerError(RuntimeError):
    """The container ended or did not answer in time. The message holds its log."""


@dataclass(frozen=True)
class Served:
    """A running container; `url` is where its port is published on the loopback interface."""

    container: Container
    url: str

    def log(self) -> str:
        return _text(self.container.logs())

    def ping(self) -> int:
        """The status of `/ping`, 0 when nothing answers."""
        try:
            return requests.get(f"{self.url}/ping", timeout=2).status_code
        except requests.ConnectionError:
            return 0

    def invoke(self, body: bytes, content_type: str = RAW, **headers: str) -> requests.Response:
        names = {"Content-Type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return requests.post(f"{self.url}/invocations", body, headers=names, timeout=60)

    def run(self, *command: str) -> str:
        """The output of a program that is run in the container."""
        status, output = self.container.exec_run(list(command))
        if status != 0:
            raise ContainerError(f"{command}: status {status}: {_text(output)}")
        return _text(output)


@dataclass(frozen=True)
class Ended:
    """Exit status and output of a program that ran in its own container."""

    status: int
    output: str


def run_to_end(client: DockerClient, image: str, *command: str) -> Ended:
    """Run a program as `docker run IMAGE COMMAND` does."""
    container = client.containers.create(image, list(command))
    try:
        container.start()
        status = container.wait(timeout=60)["StatusCode"]
        return Ended(status, _text(container.logs()))
    finally:
        container.remove(force=True)


@contextmanager
def running(
    client: DockerClient,
    image: str,
    environment: Mapping[str, str],
    *,
    model: Path | None = None,
    port: int = 8080,
    command: Sequence[str] = ("serve",),
    volumes: Mapping[str, dict[str, str]] | None = None,
    **options: Any,
) -> Iterator[Served]:
    """Serve `model` (mounted read-only), or what the environment names. Ready when the block starts, removed after it.

    Raises:
        ContainerError: it ended, or `/ping` did not turn 200 in time.
    """
    mounts = {str(model): {"bind": "/opt/ml/model", "mode": "ro"}} if model else {}
    container = client.containers.create(
        image,
        list(command),
        environment=dict(environment),
        ports={f"{port}/tcp": ("127.0.0.1", 0)},
        shm_size="64m",
        volumes={**(volumes or {}), **mounts},
        **options,
    )
    try:
        container.start()
        served = Served(container, _address(container, port))
        _await_ready(served)
        yield served
    finally:
        container.remove(force=True)


def _text(output: object) -> str:
    """What the engine's client returns for output; it is an iterator only when asked for one."""
    assert isinstance(output, bytes)
    return output.decode(errors="replace")


def _address(container: Container, port: int) -> str:
    container.reload()
    published = container.ports.get(f"{port}/tcp")
    if not published:
        raise ContainerError(f"the container has ended:\n{_text(container.logs())}")
    return f"http://127.0.0.1:{published[0]['HostPort']}"


def _await_ready(served: Served) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while served.ping() != 200:
        served.container.reload()
        if served.container.status != "running":
            raise ContainerError(f"the container has ended:\n{served.log()}")
        if time.monotonic() > deadline:
            raise ContainerError(f"/ping was not 200 after {READY_SECONDS:g} s:\n{served.log()}")
        time.sleep(0.1)
