"""Mistakes in a model that Triton does not refuse: it would load it, or run it, for ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["mistakes"]


def mistakes(name: str, model: Path, config: Any) -> Iterator[str]:
    """Yield what is wrong with a model, in words that say where.

    Args:
        name: what the words call the model.
        model: its directory.
        config: its `inference.ModelConfig` message.
    """
    yield from _without_code(name, model, config)
    yield from _written_twice(name, config)
    yield from _never_run(name, config)


def _without_code(name: str, model: Path, config: Any) -> Iterator[str]:
    if config.backend != "python":
        return
    for version in _served(model, config.version_policy):
        code = model / version / (config.default_model_filename or "model.py")
        if not code.is_file():
            yield f"{name} is a Python model without {code.relative_to(model)}"


def _served(model: Path, policy: Any) -> list[str]:
    """Return the versions of a model that Triton serves by its policy: without one, the latest."""
    versions = sorted((path.name for path in model.iterdir() if path.is_dir() and path.name.isdecimal()), key=int)
    if policy.HasField("specific"):
        return [version for version in versions if int(version) in policy.specific.versions]
    return versions if policy.HasField("all") else versions[-max(1, policy.latest.num_versions) :]


def _written_twice(name: str, config: Any) -> Iterator[str]:
    written = {tensor.name for tensor in config.input} if config.HasField("ensemble_scheduling") else set()
    for step in config.ensemble_scheduling.step:
        for tensor in step.output_map.values():
            if tensor in written:
                yield (
                    f"the step {step.model_name!r} of {name} writes the tensor {tensor!r}, which is an input of the "
                    "ensemble or an output of another step: give each tensor a name of its own"
                )
            written.add(tensor)


def _never_run(name: str, config: Any) -> Iterator[str]:
    waiting = list(config.ensemble_scheduling.step)
    there = {tensor.name for tensor in config.input}
    while ready := [step for step in waiting if there.issuperset(step.input_map.values())]:
        there.update(tensor for step in ready for tensor in step.output_map.values())
        waiting = [step for step in waiting if step not in ready]
    if waiting:
        missing = sorted(set(waiting[0].input_map.values()) - there)
        yield (
            f"the step {waiting[0].model_name!r} of {name} would wait for ever for {', '.join(missing)}, which is no "
            "input of the ensemble and not written by a step before it"
        )
