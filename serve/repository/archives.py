"""A tenant's archive, in any layout: its models, the one that an invocation runs, and the order of their calls.

An ensemble step that names no model of the archive refers to a shared model of the image.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from serve.repository.findings import Finding, RepositoryError, errors, warnings
from serve.repository.layout import tree
from serve.repository.model import Model
from serve.repository.processes import Runtime, processes
from serve.repository.rules import Context, check, link_outside, look

__all__ = ["Tenant", "inspect_tenant"]

MIB = 1024 * 1024
SUBJECT = "the archive"


@dataclass(frozen=True)
class Tenant:
    """The content of an archive.

    Attributes:
        directory: the extracted archive, symlinks resolved.
        entry: the name of the model that an invocation runs; "" for the model that the archive itself is.
        models: its models, the entry first.
        shared: the shared models that it uses.
        layers: the names of its models, those that call others before those that they call. Models are unloaded in
            this order, so that a request in flight finds every model that it still needs, and loaded in the other one.
        required_bytes: the host memory that its configurations ask for, or 0.
        size_bytes: the total size of its files.
        warnings: findings that do not prevent a load.
    """

    directory: Path
    entry: str
    models: tuple[Model, ...]
    shared: tuple[str, ...]
    layers: tuple[tuple[str, ...], ...]
    required_bytes: int
    size_bytes: int
    warnings: tuple[Finding, ...] = ()

    def processes(self, runtime: Runtime) -> int:
        """Return how many processes Triton starts for its models, without shared ones."""
        return sum(processes(model.config, runtime) for model in self.models)


def inspect_tenant(directory: Path, shared_models: frozenset[str] | None = frozenset()) -> Tenant:
    """Check an extracted archive, and find its models and the one that an invocation runs.

    The archive may be one model itself, hold one directory with a model, or several models of which one calls, directly
    or not, all the others: as the steps of an ensemble, or named in its parameter `sagemaker.depends_on`.

    Args:
        directory: the extracted archive.
        shared_models: the names of the image's shared models; None if they are unknown: then every call to a model
            outside the archive is a warning.

    Raises:
        RepositoryError: it can't be served; the findings say why.
    """
    if not directory.is_dir():
        finding = Finding("no-model", "error", f"{directory} is not a directory", "expected an extracted archive")
        raise RepositoryError(SUBJECT, [finding])
    directory = directory.resolve()
    if links := tuple(link_outside(directory)):
        raise RepositoryError(SUBJECT, links)
    context = look("tenant", directory, shared=shared_models)
    findings = check(context)
    if errors(findings):
        raise RepositoryError(SUBJECT, findings, f"Found:\n{tree(directory)}")
    calls = {name: context.own_calls(name) for name in context.names}
    entry = _entry(calls)
    return Tenant(
        directory=directory,
        entry=entry,
        models=tuple(context.models[name] for name in (entry, *(name for name in context.names if name != entry))),
        shared=_shared(context),
        layers=_layers(entry, calls),
        required_bytes=sum((model.config.required_memory_mb or 0) * MIB for model in context.models.values()),
        size_bytes=_size(directory),
        warnings=warnings(findings),
    )


def _entry(calls: dict[str, tuple[str, ...]]) -> str:
    """Return the only model that no other model calls."""
    called = {name for names in calls.values() for name in names}
    (entry,) = (name for name in calls if name not in called)
    return entry


def _layers(entry: str, calls: dict[str, tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Return the models in layers, each model in a later layer than every model that calls it. Expects no circle."""
    depth = {entry: 0}
    for _ in calls:
        for name in [name for name in calls if name in depth]:
            for called in calls[name]:
                depth[called] = max(depth.get(called, 0), depth[name] + 1)
    return tuple(tuple(name for name in calls if depth[name] == layer) for layer in range(max(depth.values()) + 1))


def _shared(context: Context) -> tuple[str, ...]:
    called = (name for model in context.models.values() for name in model.config.called_models)
    return tuple(dict.fromkeys(name for name in called if name not in context.names))


def _size(directory: Path) -> int:
    """Return the size of an archive's files, in bytes."""
    files = (Path(parent, name) for parent, _, names in os.walk(directory) for name in names)
    return sum(path.stat().st_size for path in files if path.exists())
