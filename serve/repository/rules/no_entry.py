"""A tenant with several models that an invocation could run."""

from __future__ import annotations

from collections.abc import Iterator

from serve.repository.config import DEPENDS_ON
from serve.repository.findings import Finding
from serve.repository.rules.context import Context

__all__ = ["no_entry"]


def no_entry(context: Context) -> Iterator[Finding]:
    """Find several models that no other model calls. If there is none, the rule `circle` reports it."""
    if context.origin != "tenant" or context.unreadable:
        return
    called = {model for name in context.names for model in context.own_calls(name)}
    entries = [name for name in context.names if name not in called]
    if len(entries) > 1:
        message = f"{len(entries)} of its models are called by none of the others ({', '.join(entries)})"
        remedy = f"keep the one that an invocation runs, or name what it calls in its parameter {DEPENDS_ON!r}"
        yield Finding("no-entry", "error", message, remedy)
