"""Inspection of the machine."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from serve.machine.inspect import FREE_PORTS, inspect_machine, processors
from serve.settings import PortRange, Settings
from tests.triton import free_ports

AFFINITY = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, AFFINITY),
        ({"cpu.max": "max 100000\n"}, AFFINITY),
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": f"{AFFINITY * 200000} 100000\n"}, AFFINITY),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, AFFINITY),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
    ],
)
def test_processors_are_those_of_the_affinity_or_of_the_quota(
    tmp_path: Path, files: dict[str, str], expected: int
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert processors(tmp_path) == expected


def test_a_compiled_backend_is_no_process_of_its_own(tmp_path: Path) -> None:
    backends = tmp_path / "backends"
    for file in ("dali/model.py", "onnxruntime/model.py", "onnxruntime/libtriton_onnxruntime.so", "tensorrt/x.so"):
        (backends / file).parent.mkdir(parents=True, exist_ok=True)
        (backends / file).touch()
    assert inspect_machine(tmp_path, Settings(install_dir=tmp_path)).python_backends == {"python", "dali"}


def test_ports_are_of_the_safe_range_and_free(tmp_path: Path) -> None:
    [first] = free_ports(1)
    with socket.create_server(("", first)):
        settings = Settings(safe_port_range=PortRange(first, first + 2))
        assert set(inspect_machine(tmp_path, settings).free_ports) <= {first + 1, first + 2}
    assert first in inspect_machine(tmp_path, settings).free_ports


def test_no_more_ports_are_tried_than_may_be_needed(tmp_path: Path) -> None:
    assert len(inspect_machine(tmp_path, Settings(safe_port_range=PortRange(20000, 65535))).free_ports) == FREE_PORTS
