"""Matching processes to models, and finding dead ones, with processes that have Triton's command lines."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from serve.repository import InstanceGroup, ModelConfig, Runtime
from serve.triton.processes import STUB, Instance, ModelProcesses
from tests.serve.processes import await_true

PROCESSES = ModelProcesses(os.getpid(), Runtime(gpus=2))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / STUB).symlink_to("/bin/sh")
    return tmp_path


@contextmanager
def stub(directory: Path, model: str, name: str, file: str = "model.py") -> Iterator[psutil.Process]:
    """Run a shell under the name and with the arguments of a Python model's process, until the end of the block."""
    path = directory / "repository" / model / "1" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("read line\n")
    numbers = ["1048576", "1048576", "1", "/backends/python", "336"]
    arguments = [str(directory / STUB), str(path), "region", *numbers, name, "DEFAULT"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE) as process:
        started = psutil.Process(process.pid)
        try:
            await_true(lambda: started.cmdline() == arguments, "its command line is there to be read")
            yield started
        finally:
            process.kill()


def ours(*models: str) -> list[tuple[str, str]]:
    """Return model and name of the live processes of models: others run beside them."""
    return sorted((each.model, each.name) for each in PROCESSES.running() if each.model in models)


def test_processes_of_the_same_name(directory: Path) -> None:
    """Names of the processes of one instance on several GPUs."""
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(stub(directory, "twin-model", "twin-model_0_0"))
        assert ours("twin-model") == [("twin-model", "twin-model_0_0")] * 2


def test_a_model_is_told_by_its_file(directory: Path) -> None:
    with stub(directory, "named", "named_0_0", file="code/main.py"):
        assert ours("named", "1", "code") == [("named", "named_0_0")]


def test_models_whose_processes_have_the_same_name(directory: Path) -> None:
    """`alike` with an instance group and `alike_0` without one: killing or awaiting one leaves the other."""
    with stub(directory, "alike", "alike_0_0") as one, stub(directory, "alike_0", "alike_0_0") as other:
        PROCESSES.kill(["alike"])
        PROCESSES.await_end(["alike"])
        assert one.status() == psutil.STATUS_ZOMBIE
        assert ours("alike", "alike_0") == [("alike_0", "alike_0_0")]
        assert other.status() != psutil.STATUS_ZOMBIE


def configuration(model: str, *groups: InstanceGroup) -> ModelConfig:
    return ModelConfig(name=model, backend="python", instance_groups=groups)


def dead(configurations: list[ModelConfig], running: list[Instance]) -> tuple[str, ...]:
    return PROCESSES.dead_groups(configurations, running)


def group(name: str) -> InstanceGroup:
    return InstanceGroup(kind="KIND_CPU", count=1, name=name)


def instances(model: str, *names: str) -> list[Instance]:
    return [Instance(model, name, psutil.Process()) for name in names]


ON_TWO_GPUS = configuration("a", InstanceGroup(kind="KIND_GPU", count=2, gpus=(0, 1), name="a_0"))


@pytest.mark.parametrize("names", ["{}", "{}_gpu{}"], ids=["the same name on each GPU", "a name with the GPU"])
def test_a_group_on_two_gpus(names: str) -> None:
    running = instances("a", *(names.format(f"a_0_{number}", gpu) for number in range(2) for gpu in range(2)))
    assert dead([ON_TWO_GPUS], running) == ()
    for missing in range(4):
        assert dead([ON_TWO_GPUS], running[:missing] + running[missing + 1 :]) == ("a_0",)


def test_a_process_counts_for_its_own_model_and_group() -> None:
    """`a_0_0` is of the group `a_0`, which two models may have."""
    grouped, plain = configuration("a", group("a_0")), configuration("a_0", group("a_0"))
    assert dead([grouped, plain], instances("a", "a_0_0") + instances("a_0", "a_0_0")) == ()
    assert dead([grouped, plain], instances("a", "a_0_0") * 2) == ("a_0",)
    two = configuration("a", group("a"), group("a_0"))
    assert dead([two], instances("a", "a_0", "a_0_0")) == ()
    assert dead([two], instances("a", "a_0")) == ("a_0",)
    assert dead([two], instances("a", "a_0_0")) == ("a",)


def test_only_python_models_have_processes() -> None:
    onnx = replace(ON_TWO_GPUS, backend="onnxruntime")
    assert dead([onnx], []) == ()
    assert dead([replace(onnx, runtime="model.py")], []) == ("a_0",)
    stand_in = Runtime(frozenset({"python", "onnxruntime"}), gpus=2)
    assert ModelProcesses(os.getpid(), stand_in).dead_groups([onnx], []) == ("a_0",)
