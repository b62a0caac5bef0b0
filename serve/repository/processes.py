"""How many processes a model runs in. The start, the admission of tenants and the watch over processes all use this."""

from __future__ import annotations

from dataclasses import dataclass

from serve.repository.config import ENSEMBLE, InstanceGroup, ModelConfig

__all__ = ["Runtime", "instances", "processes", "processes_by_group", "runs_in_processes"]

# Triton starts two instances of these on a CPU if the configuration has no count.
TWO_ON_A_CPU = ("onnxruntime", "tensorflow")

PYTHON_FILE = ".py"


@dataclass(frozen=True)
class Runtime:
    """The part of the image and the machine that decides how many processes a model runs in.

    Attributes:
        python_backends: the image's backends that are written in Python. They run each instance in its own process.
        gpus: the number of GPUs of the machine.
    """

    python_backends: frozenset[str] = frozenset({"python"})
    gpus: int = 0


def runs_in_processes(config: ModelConfig, runtime: Runtime) -> bool:
    """Tell whether each instance of a model is a process of its own."""
    # `runtime` can choose the model.py of a backend that has a compiled library as well.
    chooses_python = config.runtime.endswith(PYTHON_FILE)
    return chooses_python or config.backend in runtime.python_backends


def processes(config: ModelConfig, runtime: Runtime) -> int:
    """Return how many processes Triton starts for a model; 0 for a model that runs inside tritonserver."""
    return instances(config, runtime.gpus) if runs_in_processes(config, runtime) else 0


def processes_by_group(config: ModelConfig, runtime: Runtime) -> dict[str, int]:
    """Return the same per instance group, by its name, for a configuration that Triton has completed."""
    if not runs_in_processes(config, runtime):
        return {}
    return {group.name: _instances(group, config.backend, runtime.gpus) for group in config.instance_groups}


def instances(config: ModelConfig, gpus: int) -> int:
    """Return how many instances of a model Triton starts: `count`, on each GPU of a group, or Triton's default."""
    if config.backend == ENSEMBLE:
        return 0
    return sum(_instances(group, config.backend, gpus) for group in config.instance_groups or (InstanceGroup(),))


def _instances(group: InstanceGroup, backend: str, gpus: int) -> int:
    if gpus and group.kind in ("KIND_AUTO", "KIND_GPU"):
        return max(1, group.count) * (len(group.gpus) or gpus)
    return group.count or (2 if backend in TWO_ON_A_CPU else 1)
