"""Inspection of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from serve.machine.inspect import inspect_machine, processors

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
    assert inspect_machine(tmp_path, tmp_path).python_backends == {"python", "dali"}
