"""HAProxy alone, with no server or the test's own server behind it."""

from __future__ import annotations

import dataclasses
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from serve.front_door import FrontDoor, ServedModel, TenantMaps, render
from tests.serve.processes import await_true
from tests.triton import free_ports

Run = Callable[..., FrontDoor]


def front_door(directory: Path, **changes: object) -> FrontDoor:
    port, triton_port = free_ports(2)
    made = FrontDoor(
        port=port,
        triton=f"127.0.0.1:{triton_port}",
        serves=ServedModel("resnet 50"),
        inference_type="infer",
        app_socket=directory / "app.sock",
        metrics_socket=directory / "metrics.sock",
        admin_socket=directory / "haproxy.sock",
        drain_seconds=5,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def tenant_maps(directory: Path) -> TenantMaps:
    """Return maps that are empty yet."""
    made = TenantMaps(directory / "tenants.map", directory / "memory.map")
    made.tenants.touch()
    made.memory.touch()
    return made


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Returns a function: changes → a front door with these, that a real HAProxy runs, with nobody behind it."""
    program = shutil.which("haproxy")
    if program is None:
        pytest.fail("HAProxy is not installed: run `make setup`")
    with ExitStack() as stack:

        def start(**changes: object) -> FrontDoor:
            made = front_door(tmp_path, **changes)
            (tmp_path / "haproxy.cfg").write_text(render(made))
            command = [program, "-db", "-f", str(tmp_path / "haproxy.cfg")]
            log = stack.enter_context((tmp_path / "log").open("wb"))
            process = stack.enter_context(subprocess.Popen(command, stdout=log))
            (tmp_path / "haproxy.pid").write_text(str(process.pid))
            stack.callback(process.terminate)
            await_true(lambda: listens(made.port), "HAProxy listens")
            return made

        yield start


@pytest.fixture
def haproxy(tmp_path: Path) -> Callable[[], psutil.Process]:
    """Returns a function: the process of the HAProxy that `run` has started."""
    return lambda: psutil.Process(int((tmp_path / "haproxy.pid").read_text()))


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
