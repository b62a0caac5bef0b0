"""Ensembles that write a tensor twice: Triton runs their steps forever."""

from __future__ import annotations

from collections.abc import Iterator

from serve.repository.findings import Finding
from serve.repository.rules.context import Context

__all__ = ["tensor_written_twice"]


def tensor_written_twice(context: Context) -> Iterator[Finding]:
    """Find steps that write an input of their ensemble or another step's output."""
    for model in context.models.values():
        written = {tensor.name for tensor in model.config.inputs}
        for step in model.config.steps:
            for tensor in step.outputs.values():
                if tensor in written:
                    message = (
                        f"the step {step.model!r} of {model} writes the tensor {tensor!r}, which is an input of the "
                        "ensemble or an output of another step"
                    )
                    remedy = "give each tensor a name of its own"
                    yield context.error(model, "tensor-written-twice", message, remedy)
                written.add(tensor)
