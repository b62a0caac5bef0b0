"""The models of a repository on one machine: how many processes they run in, and how the log describes them."""

from __future__ import annotations

from serve.machine.values import Machine
from serve.repository import Model, Repository, instances, processes

__all__ = ["count_processes", "describe_model"]


def count_processes(repository: Repository, machine: Machine) -> dict[str, int]:
    """Return how many processes of their own the models to load are started in; models without any are left out."""
    counts = {model.name: processes(model.config, machine.runtime) for model in repository.loaded}
    return {name: count for name, count in counts.items() if count}


def describe_model(model: Model, machine: Machine) -> str:
    """Return a model's name, its backend and how often it is started."""
    count = instances(model.config, machine.gpus)
    one, several = ("process", "processes") if processes(model.config, machine.runtime) else ("instance", "instances")
    how_many = f", {count} {one if count == 1 else several}" if count else ""
    return f"{model.name} ({model.config.backend}{how_many})"
