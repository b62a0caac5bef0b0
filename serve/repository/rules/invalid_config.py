"""A config.pbtxt that is not a model configuration."""

from __future__ import annotations

from collections.abc import Iterator

from serve.repository.findings import Finding
from serve.repository.rules.context import Context

__all__ = ["invalid_config"]


def invalid_config(context: Context) -> Iterator[Finding]:
    """Find configurations that can't be read."""
    for name, finding in context.unreadable.items():
        yield context.placed(name, finding)
