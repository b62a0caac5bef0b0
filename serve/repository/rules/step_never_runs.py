"""Ensembles with a step that never runs: Triton never answers their requests."""

from __future__ import annotations

from collections.abc import Iterator

from serve.repository.config import ModelConfig
from serve.repository.findings import Finding
from serve.repository.rules.context import Context

__all__ = ["step_never_runs"]


def step_never_runs(context: Context) -> Iterator[Finding]:
    """Find ensembles with a step that waits for a tensor that no step before it writes."""
    for model in context.models.values():
        for step, missing in _waiting(model.config):
            message = f"the step {step!r} of {model} would wait forever for {', '.join(missing)}"
            remedy = "expected inputs of the ensemble, or tensors that a step before it writes"
            yield context.error(model, "step-never-runs", message, remedy)


def _waiting(config: ModelConfig) -> Iterator[tuple[str, list[str]]]:
    """Yield the first step that never runs, and the tensors that it waits for."""
    waiting = list(config.steps)
    there = {tensor.name for tensor in config.inputs}
    while ready := [step for step in waiting if there.issuperset(step.inputs.values())]:
        there.update(tensor for step in ready for tensor in step.outputs.values())
        waiting = [step for step in waiting if step not in ready]
    for step in waiting[:1]:
        yield step.model, sorted(set(step.inputs.values()) - there)
