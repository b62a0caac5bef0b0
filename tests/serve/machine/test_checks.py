"""What is refused just before the start."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from serve.machine.checks import check_machine
from serve.settings import Settings, SettingsError
from tests.triton import free_ports


def settings(directory: Path) -> Settings:
    [port] = free_ports(1)
    (directory / "bin").mkdir()
    (directory / "bin" / "tritonserver").touch()
    return Settings(install_dir=directory, bind_to_port=port)


def test_nothing_is_wrong(tmp_path: Path) -> None:
    check_machine(settings(tmp_path))


def test_no_tritonserver(tmp_path: Path) -> None:
    given = settings(tmp_path)
    given.tritonserver.unlink()
    with pytest.raises(SettingsError) as error:
        check_machine(given)
    assert str(error.value) == (
        f"SAGEMAKER_TRITON_INSTALL_DIR='{tmp_path}': expected a directory that holds bin/tritonserver"
    )


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    given = settings(tmp_path)
    with socket.create_server(("", given.bind_to_port)), pytest.raises(SettingsError) as error:
        check_machine(given)
    assert str(error.value) == (
        f"SAGEMAKER_BIND_TO_PORT='{given.bind_to_port}': expected a free port, another program listens on this one"
    )
