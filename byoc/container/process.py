"""An endpoint container as a process: `serve` on this machine, with the Python and the packages that run us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from byoc.container.base import READY_SECONDS, STOP_SECONDS, EndpointContainer
from byoc.container.installation import INSTALL_DIR, PACKAGES, program_path, triton_dir
from byoc.container.ports import is_free, reserved_ports
from byoc.errors import ContainerError
from serve.settings import Settings, SettingsError

__all__ = ["RunningServe", "reserved_environment", "running_serve", "serve_environment", "start_serve"]

PREFIX = "SAGEMAKER_"
PORT = "SAGEMAKER_BIND_TO_PORT"
SAFE_PORTS = "SAGEMAKER_SAFE_PORT_RANGE"
BASE_DIR = "SAGEMAKER_BASE_DIR"


@dataclass(frozen=True)
class RunningServe(EndpointContainer):
    """A running `serve`.

    Attributes:
        port: the SageMaker port, on every interface.
        process: the parent of tritonserver, the app and HAProxy.
        log: what it and its children print; None if that is the terminal.
        environment: what it was started with.
    """

    port: int
    process: subprocess.Popen[bytes]
    log: Path | None
    environment: Mapping[str, str]

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"serve on port {self.port}"

    @property
    def url(self) -> str:
        """The base URL on this machine, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        """Return everything that it printed so far. Empty if it prints to the terminal."""
        return self.log.read_text(errors="replace") if self.log else ""

    def exit_status(self) -> int | None:
        """Return how it ended: its exit status, or 128 + n if signal n killed it. None while it runs."""
        status = self.process.poll()
        return status if status is None or status >= 0 else 128 - status

    def wait(self) -> int:
        """Wait until it ends by itself, and return its exit status."""
        status = self.process.wait()
        return status if status >= 0 else 128 - status

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """Stop it as SageMaker does, by SIGTERM, if it still runs; return its exit status.

        An exception while it stops, such as a second Ctrl-C, kills it.

        Raises:
            ContainerError: it did not end within `seconds`, and was killed.
        """
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise self.failure(f"{self.name} did not stop within {seconds:g} s and was killed") from error
        finally:
            self.kill()
        return self.wait()

    def kill(self) -> None:
        """End it at once; its children end with it."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Stop it if it still runs."""
        self.stop()


@contextmanager
def running_serve(
    base_dir: Path,
    environment: Mapping[str, str] | None = None,
    *,
    haproxy: bool = True,
    await_ready: bool = True,
    ready_seconds: float = READY_SECONDS,
) -> Iterator[RunningServe]:
    """Serve `base_dir/model` (multi-model: `base_dir/models`) on free ports until the block ends.

    Args:
        base_dir: stands for `/opt/ml`.
        environment: more variables for `serve`. Those of the caller that begin with SAGEMAKER_ are not passed on.
        haproxy: False hides HAProxy, so that the app serves by itself.
        await_ready: False enters the block as soon as the process was started, True when `/ping` returns 200.
        ready_seconds: how long to wait.

    Raises:
        ContainerError: it could not start, ended, was not ready in time, or did not stop.
    """
    with (
        tempfile.TemporaryDirectory(prefix="serving-") as directory,
        reserved_environment(base_dir, haproxy=haproxy) as own,
        start_serve({**own, **(environment or {})}, Path(directory) / "log") as serve,
    ):
        if await_ready:
            serve.await_ready(ready_seconds)
        yield serve


@contextmanager
def reserved_environment(base_dir: Path, *, haproxy: bool = True) -> Iterator[dict[str, str]]:
    """Yield the environment of a `serve` that runs beside others: ports of its own, which are reserved until the block
    ends, and no variables of the caller that begin with SAGEMAKER_, but for tritonserver's directory.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    if INSTALL_DIR in os.environ:
        inherited[INSTALL_DIR] = os.environ[INSTALL_DIR]
    with reserved_ports() as ports:
        own = {PORT: str(ports[0]), SAFE_PORTS: f"{ports[1]}-{ports[-1]}"}
        yield {**serve_environment(base_dir, inherited, haproxy=haproxy), **own}


def serve_environment(base_dir: Path, inherited: Mapping[str, str], *, haproxy: bool = True) -> dict[str, str]:
    """Return `inherited` with what `serve` needs to run on this machine: base directory, tritonserver, Python.

    Raises:
        ContainerError: there is no tritonserver.
    """
    return {
        **inherited,
        BASE_DIR: str(base_dir.absolute()),
        INSTALL_DIR: str(triton_dir(inherited)),
        "PATH": program_path(inherited.get("PATH", os.defpath), haproxy=haproxy),
    }


def start_serve(environment: Mapping[str, str], log: Path | None = None) -> RunningServe:
    """Start `serve` with exactly this environment, and do not wait until it is ready.

    Args:
        environment: see `serve_environment`.
        log: the file to write its output to. Default: ours.

    Raises:
        ContainerError: a variable has a bad value, or the port is taken. Whoever listens there would answer in its
            place.
    """
    port = _port(environment)
    output = log.open("wb") if log else None
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "serve"], env=dict(environment), stdout=output, stderr=output, cwd=PACKAGES
        )
    finally:
        if output:
            output.close()
    return RunningServe(port, process, log, environment)


def _port(environment: Mapping[str, str]) -> int:
    try:
        port = Settings.from_environment(environment).bind_to_port
    except SettingsError as error:
        raise ContainerError(str(error)) from error
    if not is_free(port):
        raise ContainerError(
            f"port {port} is in use by another program", f"Set {PORT} to a free port, such as {port + 1}."
        )
    return port
