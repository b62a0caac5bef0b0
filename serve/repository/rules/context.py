"""The input of rules: the models of a directory, and which of them are loaded."""

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

# The model directory of a single-model endpoint, the directory of an image's shared models, or a tenant's archive.
Origin = Literal["single", "shared", "tenant"]


@dataclass(frozen=True)
class Context:
    """The input of rules.

    Attributes:
        origin: the kind of directory.
        root: the directory.
        names: the names of all models in it, sorted; ("",) for an archive that is itself a model.
        models: the models with a valid configuration, by name.
        unreadable: the problems of the other models' configurations, by name.
        loaded: the names of the models that are loaded. Problems of other models are only warnings.
        default_model: the requested default model.
        load_models: the other requested models.
        shared: the names of the image's shared models; None if they are unknown.
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
        """Return an error in a file of a model; a warning if the model is not loaded."""
        return self.placed(model.name, Finding(code, "error", message, remedy, PurePosixPath(path)))

    def placed(self, name: str, finding: Finding) -> Finding:
        """Return a finding about a model with a path relative to the root, as a warning if the model is not loaded."""
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
    """Return the models that are loaded because they were requested."""
    if context.origin != "single":
        return context.names
    default = context.default_model or (context.names[0] if len(context.names) == 1 else None)
    return tuple(name for name in (default, *context.load_models) if name in context.names)


def _closure(context: Context, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return models and all models that they call, directly or not."""
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting += context.own_calls(name)
    return tuple(found)
