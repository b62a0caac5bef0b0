"""A model without a version that Triton serves."""

from __future__ import annotations

from collections.abc import Iterator

from serve.repository.config import ENSEMBLE
from serve.repository.findings import Finding
from serve.repository.layout import version_directories
from serve.repository.model import Model
from serve.repository.rules.context import Context

__all__ = ["no_version"]


def no_version(context: Context) -> Iterator[Finding]:
    """Find models without a served version. An ensemble needs a version directory too, which may be empty."""
    for model in context.models.values():
        existing = tuple(version_directories(model.directory))
        if not model.config.version_policy.served(existing):
            message = f"{model} has no version that Triton serves"
            yield context.error(model, "no-version", message, _remedy(model, existing))


def _remedy(model: Model, existing: tuple[int, ...]) -> str:
    if existing:
        asked = ", ".join(map(str, model.config.version_policy.versions))
        return f"its version_policy asks for {asked or 'none'}, found {', '.join(map(str, existing))}"
    content = "which may be empty" if model.config.backend == ENSEMBLE else "with the model's file in it"
    return f"expected a directory with a number as its name, without leading zeros, such as 1/, {content}"
