"""Models that call each other in a circle."""

from __future__ import annotations

from collections.abc import Iterator

from serve.repository.findings import Finding
from serve.repository.rules.context import Context

__all__ = ["circle"]


def circle(context: Context) -> Iterator[Finding]:
    """Find circles of ensembles, which Triton refuses, and in tenants' archives circles of any calls.

    A tenant's models are loaded and unloaded in the order of their calls. On a single-model endpoint, Python models may
    call each other: Triton loads all of them.
    """
    calls = {name: _calls(context, name) for name in context.models}
    told: set[str] = set()
    for name, model in context.models.items():
        way = () if name in told else _way_back(name, calls)
        if way:
            told.update(way)
            message = f"these models call each other in a circle: {', '.join(way)}"
            yield context.error(model, "circle", message, "remove one of the calls")


def _calls(context: Context, name: str) -> tuple[str, ...]:
    steps = context.models[name].config.step_models
    called = context.own_calls(name)
    return called if context.origin == "tenant" else tuple(model for model in called if model in steps)


def _way_back(start: str, calls: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the models on a path from a model back to itself; empty if there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for called in calls.get(way[-1], ()):
            if called == start:
                return way
            if called not in seen:
                seen.add(called)
                ways.append((*way, called))
    return ()
