"""A model at the root of a single-model endpoint's model directory."""

from __future__ import annotations

from collections.abc import Iterator

from serve.repository.findings import Finding
from serve.repository.layout import CONFIG
from serve.repository.rules.context import Context

__all__ = ["config_at_root"]


def config_at_root(context: Context) -> Iterator[Finding]:
    """Find a config.pbtxt beside the models."""
    if context.origin == "single" and (context.root / CONFIG).exists():
        message = "it has config.pbtxt at its root"
        yield Finding("config-at-root", "error", message, "move the model into a directory of its own")
