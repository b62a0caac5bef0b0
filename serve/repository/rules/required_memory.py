"""The host memory that a tenant's model asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from serve.repository.config import REQUIRED_MEMORY_MB
from serve.repository.findings import Finding
from serve.repository.rules.context import Context

__all__ = ["required_memory"]


def required_memory(context: Context) -> Iterator[Finding]:
    """Find a `sagemaker.required_memory_mb` that is not a number. Only multi-model endpoints use it."""
    for model in context.models.values():
        text = model.config.parameters.get(REQUIRED_MEMORY_MB, "")
        if text and model.config.required_memory_mb is None:
            message = f"parameter {REQUIRED_MEMORY_MB!r} of {model} is {text!r}"
            finding = context.error(model, "invalid-memory", message, "expected a whole number of MiB")
            yield finding if context.origin == "tenant" else replace(finding, severity="warning")
