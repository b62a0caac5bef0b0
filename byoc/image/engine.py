"""The Docker engine: connecting to it, running a program in an image, and following pulls and pushes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import docker
from docker.errors import APIError, DockerException

from byoc.errors import ImageError
from byoc.progress import Progress, Transfers

__all__ = ["Event", "connected", "explained", "follow_layers", "output_of"]

# One line of the engine's output during a build, a pull or a push. A failure is an event with the key `error`.
Event = Mapping[str, Any]

# The engine sends nothing while it writes a layer of several GB.
REQUEST_TIMEOUT_S = 600

_FINISHED = {"Pull complete", "Already exists", "Pushed", "Layer already exists"}
_MOVING = {"Downloading", "Pushing"}


@contextmanager
def connected() -> Iterator[docker.DockerClient]:
    """A client of the engine that DOCKER_HOST names (default: the local one). The engine is reachable.

    Raises:
        ImageError: no engine can be reached.
    """
    try:
        client = docker.from_env(timeout=REQUEST_TIMEOUT_S)
        client.ping()
    except (APIError, DockerException) as error:
        remedy = "Start Docker, or set DOCKER_HOST to an engine that you may use."
        raise ImageError(f"The Docker engine cannot be reached: {error}", remedy) from error
    with closing(client):
        yield client


@contextmanager
def explained(what: str, remedy: str = "") -> Iterator[None]:
    """Turn an error of the engine within the block into an ImageError that says what was being done."""
    try:
        yield
    except APIError as error:
        raise ImageError(f"{what}: {error.explanation or error}", remedy) from error


def output_of(client: docker.DockerClient, image: str, command: list[str]) -> str:
    """Run `command` in a container of a local image, without network, and return its standard output.

    Raises:
        ImageError: the image does not have the program, or it failed; the message includes its output.
    """
    with explained(f"{image} cannot run {command[0]}"):
        container = client.containers.create(image, command[1:], entrypoint=command[0], network_disabled=True)
        try:
            container.start()
            status = container.wait()["StatusCode"]
            if status != 0:
                output = container.logs().decode().strip()
                raise ImageError(f"{image}: {command[0]} exited with status {status}: {output}")
            return container.logs(stdout=True, stderr=False).decode()
        finally:
            container.remove(force=True)


def follow_layers(events: Iterable[Event], progress: Progress) -> Iterator[Event]:
    """Report the layers of a pull or a push as transfers, and yield all other events."""
    begun: set[str] = set()
    with progress.transfers() as transfers:
        for event in events:
            if event.get("id") is None or "error" in event:
                yield event
            else:
                _report_layer(event, begun, transfers)


def _report_layer(event: Event, begun: set[str], transfers: Transfers) -> None:
    layer, status, detail = event["id"], event.get("status", ""), event.get("progressDetail")
    if status in _MOVING and detail:
        if layer not in begun:
            begun.add(layer)
            transfers.begin(layer, detail.get("total"))
        transfers.update(layer, detail.get("current", 0), detail.get("total"))
    elif status in _FINISHED and layer in begun:
        begun.remove(layer)
        transfers.end(layer)
