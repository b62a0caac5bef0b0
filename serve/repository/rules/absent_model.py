"""Calls to models that don't exist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from serve.repository.findings import Finding
from serve.repository.model import Model
from serve.repository.rules.context import Context

__all__ = ["absent_model"]


def absent_model(context: Context) -> Iterator[Finding]:
    """Find calls to models that are not in the directory and, on multi-model endpoints, not shared by the image.

    If the shared models are unknown, a call to a model outside the archive is a warning.
    """
    for model in context.models.values():
        for called in model.config.called_models:
            if called not in context.names and called not in (context.shared or ()):
                yield _finding(context, model, called)


def _finding(context: Context, model: Model, called: str) -> Finding:
    if context.origin != "tenant":
        message = f"{model} calls the model {called!r}, which is not in the model directory"
        return context.error(model, "absent-model", message, f"expected one of {', '.join(context.names)}")
    own = ", ".join(map(str, context.models.values()))
    if context.shared is None:
        message = f"{model} calls the model {called!r}, which is not in the archive ({own})"
        finding = context.error(model, "absent-model", message, f"the image must share a model {called!r}")
        return replace(finding, severity="warning")
    offered = ", ".join(sorted(context.shared)) or "none"
    message = f"{model} calls the model {called!r}, which is neither in the archive ({own}) nor shared ({offered})"
    return context.error(model, "absent-model", message, "add it to the archive, or correct the name")
