"""What rules look at: the models of a directory, and which of them are to be loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from serve.repository.config import read_config
from serve.repository.findings import Code, Finding, RepositoryError
from serve.repository.layout import CONFIG, find_models, is_model
from serve.repository.model import Model

__all__ = ["Context", "Origin", "look"]

# What a directory is: the model directory of a single-model endpoint, the models that an image shares among tenants, or
# a tenant's archive.
Origin = Literal["single", "shared", "tenant"]


@dataclass(frozen=True)
class Context:
    """What rules look at.

    Attributes:
        origin: what the directory is.
        root: the directory.
        names: the names of all models in it, sorted; ("",) for an archive that is itself a model.
        models: those of which the configuration can be read, by name.
        unreadable: what is wrong with the configurations of the others, by name.
        loaded: the names of those that are loaded; rules only warn of the others.
        default_model: the model that `/invocations` runs, as it was asked for.
        load_models: further models that were asked for.
        shared: the names of the models that the image shares; None where they are not known.
    """

    origin: Origin
    root: Path
    names: tuple[str, ...]
    models: Mapping[str, Model] = field(default_factory=dict)
    unreadable: Mapping[str, Finding] = field(default_factory=dict)
    loaded: tuple[str, ...] = ()
    default_model: str | None = None
    load_models: tuple[str, ...] = ()
    shared: frozenset[str] | None = frozenset()

    def error(self, model: Model, code: Code, message: str, remedy: str, path: str = CONFIG) -> Finding:
        """Return an error in a file of a model; only a warning, if the model is not loaded."""
        return self.placed(model.name, Finding(code, "error", message, remedy, PurePosixPath(path)))

    def placed(self, name: str, finding: Finding) -> Finding:
        """Return a finding, whose path is within a model, with its path within the root; see `error`."""
        path = PurePosixPath(name, *(finding.path.parts if finding.path else ()))
        if name in self.loaded:
            return replace(finding, path=path)
        remedy = f"{finding.remedy} (the model is not loaded)"
        return replace(finding, path=path, severity="warning", remedy=remedy)

    def own_calls(self, name: str) -> tuple[str, ...]:
        """Return the models of this directory that a model calls."""
        called = self.models[name].config.called_models if name in self.models else ()
        return tuple(model for model in called if model in self.names)


def look(
    origin: Origin,
    root: Path,
    default_model: str | None = None,
    load_models: tuple[str, ...] = (),
    shared: frozenset[str] | None = frozenset(),
) -> Context:
    """Read a directory; see `Context` for the arguments."""
    names = ("",) if origin == "tenant" and is_model(root) else find_models(root)
    models, unreadable = _read(root, names)
    context = Context(origin, root, names, models, unreadable, (), default_model, load_models, shared)
    return replace(context, loaded=_closure(context, _asked_for(context)))


def _read(root: Path, names: Iterable[str]) -> tuple[dict[str, Model], dict[str, Finding]]:
    models, unreadable = {}, {}
    for name in names:
        try:
            models[name] = Model(name, root / name, read_config(root / name))
        except RepositoryError as error:
            unreadable[name] = error.findings[0]
    return models, unreadable


def _asked_for(context: Context) -> tuple[str, ...]:
    """Return the models that are loaded for their own sake."""
    if context.origin != "single":
        return context.names
    default = context.default_model or (context.names[0] if len(context.names) == 1 else None)
    return tuple(name for name in (default, *context.load_models) if name in context.names)


def _closure(context: Context, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return models and all that they call, directly or not."""
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting += context.own_calls(name)
    return tuple(found)
