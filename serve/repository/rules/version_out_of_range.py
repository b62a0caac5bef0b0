"""A version number out of range: tritonserver 2.51 crashes, or never finishes loading a Python model."""

from __future__ import annotations

from collections.abc import Iterator

from serve.repository.findings import Finding
from serve.repository.layout import VERSIONS, impossible_versions
from serve.repository.rules.context import Context

__all__ = ["version_out_of_range"]


def version_out_of_range(context: Context) -> Iterator[Finding]:
    """Find version directories with negative or too large numbers."""
    for model in context.models.values():
        for version in impossible_versions(model.directory):
            message = f"{model} has a version directory {version}"
            remedy = f"expected a number from {VERSIONS.start} to {VERSIONS.stop - 1}"
            yield context.error(model, "version-out-of-range", message, remedy)
