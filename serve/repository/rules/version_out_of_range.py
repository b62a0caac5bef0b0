"""A version directory with an impossible number: tritonserver 2.51 ends, or loads a Python model forever."""

from __future__ import annotations

from collections.abc import Iterator

from serve.repository.findings import Finding
from serve.repository.layout import VERSIONS, impossible_versions
from serve.repository.rules.context import Context

__all__ = ["version_out_of_range"]


def version_out_of_range(context: Context) -> Iterator[Finding]:
    """Find directories whose names are numbers, but not those of Triton's versions."""
    for model in context.models.values():
        for version in impossible_versions(model.directory):
            message = f"{model} has a version directory {version}"
            remedy = f"expected a number from {VERSIONS.start} to {VERSIONS.stop - 1}"
            yield context.error(model, "version-out-of-range", message, remedy)
