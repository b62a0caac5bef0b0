"""How many processes a model runs in: counted once, for the start, for tenants and for the watch over processes."""

from __future__ import annotations

from dataclasses import dataclass

from serve.repository.config import ENSEMBLE, InstanceGroup, ModelConfig

__all__ = ["Runtime", "instances", "processes", "processes_by_group", "runs_in_processes"]

# Of these Triton starts two instances on a CPU where the configuration does not say how many.
TWO_ON_A_CPU = ("onnxruntime", "tensorflow")

PYTHON_FILE = ".py"


@dataclass(frozen=True)
class Runtime:
    """What runs the models, as far as it decides how many processes that takes.

    Attributes:
        python_backends: the backends of this image that are written in Python: every instance of a model that they run
            is a process of its own.
        gpus: number of GPUs of this machine.
    """

    python_backends: frozenset[str] = frozenset({"python"})
    gpus: int = 0


def runs_in_processes(config: ModelConfig, runtime: Runtime) -> bool:
    """Tell whether every instance of a model is a process of its own."""
    # `runtime` may choose between a backend's compiled library and its model.py where both are there.
    chooses_python = config.runtime.endswith(PYTHON_FILE)
    return chooses_python or config.backend in runtime.python_backends


def processes(config: ModelConfig, runtime: Runtime) -> int:
    """Return how many processes of its own Triton starts for a model; 0 for one that runs within tritonserver."""
    return instances(config, runtime.gpus) if runs_in_processes(config, runtime) else 0


def processes_by_group(config: ModelConfig, runtime: Runtime) -> dict[str, int]:
    """Return the same for each instance group, by name, of a configuration that Triton has completed."""
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
