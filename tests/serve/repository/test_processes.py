"""How many instances, and how many processes, a model has: from its file, and from what Triton answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve.repository import (
    ModelConfig,
    Runtime,
    config_from_triton,
    instances,
    processes,
    processes_by_group,
    read_config,
)

CPU_IMAGE = Runtime(frozenset({"python", "onnxruntime"}))
GPU_IMAGE = Runtime(gpus=2)


def config(directory: Path, text: str) -> ModelConfig:
    (directory / "config.pbtxt").write_text(text)
    return read_config(directory)


@pytest.mark.parametrize(
    ("configuration", "gpus", "count"),
    [
        ("", 0, 1),
        ("", 2, 2),
        ("instance_group [{ count: 3 }]", 0, 3),
        ("instance_group [{ count: 3 }]", 2, 6),
        ("instance_group [{ count: 3 kind: KIND_CPU }]", 2, 3),
        ("instance_group [{ count: 3 kind: KIND_MODEL }]", 2, 3),
        ("instance_group [{ count: 3 kind: KIND_GPU gpus: [ 1 ] }]", 2, 3),
        ("instance_group [{ count: 3 kind: KIND_GPU gpus: [ 0, 1 ] }]", 0, 3),
        ("instance_group [{ count: 3 }, { kind: KIND_CPU }]", 0, 4),
    ],
)
def test_instances_as_triton_counts_them(tmp_path: Path, configuration: str, gpus: int, count: int) -> None:
    found = config(tmp_path, f'backend: "python" {configuration}')
    assert (instances(found, gpus), processes(found, Runtime(gpus=gpus))) == (count, count)


@pytest.mark.parametrize(
    ("backend", "cpu_image", "gpu_image"),
    [
        ('backend: "python"', 1, 2),
        ('backend: "onnxruntime"', 2, 0),
        ('platform: "onnxruntime_onnx"', 2, 0),
        ('backend: "onnxruntime" instance_group [{ count: 4 kind: KIND_CPU }]', 4, 0),
        ('backend: "onnxruntime" runtime: "model.py"', 2, 2),
        ('platform: "ensemble"', 0, 0),
        ('backend: "tensorrt"', 0, 0),
    ],
)
def test_processes_on_an_image(tmp_path: Path, backend: str, cpu_image: int, gpu_image: int) -> None:
    """The CPU image's backends for ONNX are Python; the GPU image's are compiled."""
    found = config(tmp_path, backend)
    assert (processes(found, CPU_IMAGE), processes(found, GPU_IMAGE)) == (cpu_image, gpu_image)


def test_a_completed_configuration_is_counted_alike() -> None:
    groups = [
        {"name": "net_0", "kind": "KIND_GPU", "count": 2, "gpus": [0, 1]},
        {"name": "net_1", "kind": "KIND_CPU", "count": 3, "gpus": []},
    ]
    completed = config_from_triton({"name": "net", "backend": "python", "instance_group": groups})
    assert processes_by_group(completed, GPU_IMAGE) == {"net_0": 4, "net_1": 3}
    assert processes(completed, GPU_IMAGE) == 7
    onnx = config_from_triton({"name": "net", "backend": "onnxruntime", "instance_group": groups})
    assert processes_by_group(onnx, GPU_IMAGE) == {}
