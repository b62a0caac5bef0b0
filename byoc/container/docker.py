"""An endpoint container as a Docker container of the image, run as SageMaker runs it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container
from docker.types import DeviceRequest

from byoc.container.base import READY_SECONDS, STOP_SECONDS, EndpointContainer
from byoc.errors import ContainerError
from serve import sagemaker
from serve.settings import Settings, SettingsError

__all__ = ["LABEL", "MODEL_DIR", "DockerContainer", "DockerOptions", "running_container", "start_container"]

MODEL_DIR = str(sagemaker.OPT_ML / sagemaker.MODEL_SUBDIRECTORY)

# On every container that we start; its value is the id of the process that did. `docker ps --filter label=…` finds what
# a process that was killed has left.
LABEL = "triton-byoc.started-by"

KILLED = 128 + signal.SIGKILL


@dataclass(frozen=True)
class DockerOptions:
    """How a container is run. The defaults are SageMaker's.

    Attributes:
        environment: its variables.
        mounts: directory in the container → directory of this machine, read-only.
        command: what it runs; empty for the image's own command.
        port: where it is published, on the loopback interface of this machine. Default: a free one.
        shm_bytes: the size of its /dev/shm.
        gpus: with every GPU of this machine.
        user: `UID:GID` to run as instead of the image's user.
        confined: without capabilities, and nothing writable but /tmp.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, Path] = field(default_factory=dict)
    command: tuple[str, ...] = ("serve",)
    port: int | None = None
    shm_bytes: int = sagemaker.SHARED_MEMORY_BYTES
    gpus: bool = False
    user: str | None = None
    confined: bool = False

    @property
    def container_port(self) -> int:
        """The SageMaker port inside the container. Raises ContainerError if a variable has a bad value."""
        try:
            return Settings.from_environment(self.environment).bind_to_port
        except SettingsError as error:
            raise ContainerError(str(error)) from error


@dataclass(frozen=True)
class DockerContainer(EndpointContainer):
    """A running container.

    Attributes:
        container: the engine's.
        address: where it is published on this machine.
    """

    container: Container
    address: str

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"container {self.container.name}"

    @property
    def url(self) -> str:
        """The base URL on this machine, without a slash at its end."""
        return self.address

    def output(self) -> str:
        """Return everything that it printed so far."""
        return _text(self.container.logs())

    def follow(self) -> Iterator[bytes]:
        """Yield what it prints, from the start, until it ends."""
        yield from self.container.logs(stream=True, follow=True)

    def exit_status(self) -> int | None:
        """Return how it ended: its exit status, or 128 + n if signal n killed it. None while it runs."""
        self.container.reload()
        return None if self.container.status == "running" else int(self.container.attrs["State"]["ExitCode"])

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """Stop it as SageMaker does, by SIGTERM, if it still runs; return its exit status.

        An exception while it stops, such as a second Ctrl-C, kills it.

        Raises:
            ContainerError: it did not end within `seconds`, and was killed.
        """
        if (status := self.exit_status()) is not None:
            return status
        with _explained(f"{self.name} cannot be stopped"):
            try:
                self.container.stop(timeout=round(seconds))
            except BaseException:
                self.container.kill()
                raise
            status = self.exit_status()
        if status == KILLED:
            raise self.failure(f"{self.name} did not stop within {seconds:g} s and was killed")
        return status or 0

    def kill(self) -> None:
        """End it at once."""
        with _explained(f"{self.name} cannot be killed"):
            self.container.kill()
            self.container.wait()

    def close(self) -> None:
        """Kill it if it still runs, and remove it."""
        with _explained(f"{self.name} cannot be removed"):
            self.container.remove(force=True)


@contextmanager
def running_container(
    client: DockerClient, image: str, options: DockerOptions, *, ready_seconds: float = READY_SECONDS
) -> Iterator[DockerContainer]:
    """Run a container until the block ends; `/ping` returns 200 when it starts.

    Raises:
        ContainerError: it could not start, ended, or was not ready in time.
    """
    with start_container(client, image, options) as container:
        container.await_ready(ready_seconds)
        yield container


def start_container(client: DockerClient, image: str, options: DockerOptions) -> DockerContainer:
    """Start a container, and do not wait until it is ready.

    Raises:
        ContainerError: the image is not there, a variable has a bad value, the port is taken, or it ended at once.
    """
    with _explained(f"{image} cannot be started"):
        container = _create(client, image, options)
        try:
            container.start()
            return DockerContainer(container, _address(container, options.container_port))
        except BaseException:
            container.remove(force=True)
            raise


def _create(client: DockerClient, image: str, options: DockerOptions) -> Container:
    confined = options.confined
    return client.containers.create(
        image,
        list(options.command),
        environment=dict(options.environment),
        labels={LABEL: str(os.getpid())},
        ports={f"{options.container_port}/tcp": ("127.0.0.1", options.port or 0)},
        shm_size=options.shm_bytes,
        volumes={str(path.resolve()): {"bind": target, "mode": "ro"} for target, path in options.mounts.items()},
        device_requests=[DeviceRequest(count=-1, capabilities=[["gpu"]])] if options.gpus else [],
        user=options.user,
        cap_drop=["ALL"] if confined else [],
        read_only=confined,
        tmpfs={"/tmp": "mode=1777"} if confined else {},  # noqa: S108
    )


def _address(container: Container, port: int) -> str:
    container.reload()
    published = container.ports.get(f"{port}/tcp")
    if not published:
        raise ContainerError(f"container {container.name} ended at once; its output:\n{_text(container.logs())}")
    return f"http://127.0.0.1:{published[0]['HostPort']}"


def _text(output: object) -> str:
    """Decode what the engine's client returns for output; it is an iterator only if it was asked for one."""
    assert isinstance(output, bytes)
    return output.decode(errors="replace")


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn a refusal of the engine within the block into a ContainerError that says what was being done."""
    try:
        yield
    except APIError as error:
        raise ContainerError(f"{what}: {error.explanation or error}") from error
