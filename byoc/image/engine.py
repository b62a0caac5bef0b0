"""The Docker engine: reaching it, running a program in an image, and following what it pulls and pushes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import docker
from docker.errors import APIError, DockerException

from byoc.commands import terminal
from byoc.errors import ImageError

__all__ = ["Event", "connected", "explained", "follow_layers", "output_of"]

# What the engine's API sends line by line during a build, a pull or a push. A failure is an event with the key `error`.
Event = Mapping[str, Any]

# The longest silence of an engine that works: while it writes a layer of several GB it sends nothing.
REQUEST_TIMEOUT_S = 600

_FINISHED = {"Pull complete", "Already exists", "Pushed", "Layer already exists"}
_MOVING = {"Downloading", "Pushing"}


@contextmanager
def connected() -> Iterator[docker.DockerClient]:
    """A client of the engine that DOCKER_HOST names (default: the local one), which has answered.

    Raises:
        ImageError: no engine answers.
    """
    try:
        client = docker.from_env(timeout=REQUEST_TIMEOUT_S)
        client.ping()
    except (APIError, DockerException) as error:
        remedy = "Start Docker, or point DOCKER_HOST at an engine that you may use."
        raise ImageError(f"No Docker engine answers: {error}", remedy) from error
    with closing(client):
        yield client


@contextmanager
def explained(what: str, remedy: str = "") -> Iterator[None]:
    """Turn a refusal of the engine within the block into an ImageError that says what was being done."""
    try:
        yield
    except APIError as error:
        raise ImageError(f"{what}: {error.explanation or error}", remedy) from error


def output_of(client: docker.DockerClient, image: str, command: list[str]) -> str:
    """Run `command` in a container of a local image, without network, and return its standard output.

    Raises:
        ImageError: the program is not in the image, or it failed; the message has what it wrote.
    """
    with explained(f"{image} cannot run {command[0]}"):
        container = client.containers.create(image, command[1:], entrypoint=command[0], network_disabled=True)
        try:
            container.start()
            status = container.wait()["StatusCode"]
            if status != 0:
                raise ImageError(
                    f"{image}: {command[0]} ended with status {status}: {container.logs().decode().strip()}"
                )
            return container.logs(stdout=True, stderr=False).decode()
        finally:
            container.remove(force=True)


def follow_layers(events: Iterable[Event]) -> Iterator[Event]:
    """Show the progress of the layers of a pull or a push, and pass on the events that are about no layer."""
    begun: set[str] = set()
    with terminal.transfers() as shown:
        for event in events:
            layer, status = event.get("id"), event.get("status", "")
            if layer is None or "error" in event:
                yield event
            elif status in _MOVING and event.get("progressDetail"):
                if layer not in begun:
                    begun.add(layer)
                    shown.begin(layer, event["progressDetail"].get("total"))
                shown.update(layer, event["progressDetail"].get("current", 0), event["progressDetail"].get("total"))
            elif status in _FINISHED and layer in begun:
                begun.remove(layer)
                shown.end(layer)
