"""What tests ask of a running container, and programs that run in a container to their end."""

from __future__ import annotations

from dataclasses import dataclass

import requests
from docker import DockerClient

from byoc.container.docker import DockerContainer
from serve import sagemaker

RAW = f"{sagemaker.BINARY_JSON_PREFIX}0"


@dataclass(frozen=True)
class Ended:
    """Exit status and output of a program that ran in a container."""

    status: int
    output: str


def invoke(container: DockerContainer, body: bytes, content_type: str = RAW) -> requests.Response:
    headers = {"Content-Type": content_type}
    return requests.post(f"{container.url}{sagemaker.INVOCATIONS}", body, headers=headers, timeout=60)


def run_in(container: DockerContainer, *command: str) -> Ended:
    """Run a program in a container that runs, as `docker exec` does."""
    status, output = container.container.exec_run(list(command))
    assert isinstance(output, bytes)
    return Ended(int(status or 0), output.decode(errors="replace"))


def output_in(container: DockerContainer, *command: str) -> str:
    """Return the output of a program that must succeed in a container that runs."""
    ended = run_in(container, *command)
    assert ended.status == 0, (command, ended)
    return ended.output


def run_to_end(client: DockerClient, image: str, *command: str) -> Ended:
    """Run a program as `docker run IMAGE COMMAND` does."""
    container = client.containers.create(image, list(command))
    try:
        container.start()
        status = container.wait(timeout=60)["StatusCode"]
        return Ended(status, container.logs().decode(errors="replace"))
    finally:
        container.remove(force=True)
