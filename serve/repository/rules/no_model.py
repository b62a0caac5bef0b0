"""A directory without a model."""

from __future__ import annotations

from collections.abc import Iterator

from serve.repository.findings import Finding
from serve.repository.layout import CONFIG
from serve.repository.rules.context import Context

__all__ = ["no_model"]


def no_model(context: Context) -> Iterator[Finding]:
    """Find a directory without models. A directory of shared models may be empty."""
    if context.names or context.origin == "shared" or (context.root / CONFIG).exists():
        return
    message = "it holds no model"
    remedy = "expected a directory with config.pbtxt or a numbered version directory"
    yield Finding("no-model", "error", message, remedy)
