"""The models of a single-model endpoint, and those that an image shares: which are loaded, checked before any start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serve.repository.findings import Finding, RepositoryError, errors, warnings
from serve.repository.layout import EXPECTED, tree
from serve.repository.model import Model
from serve.repository.rules import Context, check, look

__all__ = ["Repository", "inspect_repository", "inspect_shared_models"]

# For these it helps to see what a model directory looks like.
LAYOUT_CODES = frozenset({"config-at-root", "no-model", "no-default-model", "unknown-default-model"})


@dataclass(frozen=True)
class Repository:
    """A model directory that can be served.

    Attributes:
        directory: the directory.
        default_model: the name of the model that `/invocations` runs; None for models that tenants share.
        models: the names of all models in it, sorted.
        loaded: those of them that Triton is to load: at the start or, shared ones, once a tenant uses them.
        warnings: what is wrong with the others, and what does no harm.
    """

    directory: Path
    default_model: str | None
    models: tuple[str, ...]
    loaded: tuple[Model, ...] = ()
    warnings: tuple[Finding, ...] = ()


def inspect_repository(
    directory: Path, default_model: str | None = None, load_models: tuple[str, ...] = ()
) -> Repository:
    """Find the models of a single-model endpoint, and check them.

    The default model, `load_models`, and all that they call, directly or not, are loaded.

    Args:
        directory: what SageMaker extracts to `/opt/ml/model`.
        default_model: the model that was asked for, or None for the only one.
        load_models: further models to load.

    Raises:
        RepositoryError: it can't be served; the findings say why.
    """
    if not directory.is_dir():
        finding = Finding("no-model", "error", "it does not exist", "mount or extract the model archive there")
        raise RepositoryError(f"the model directory {directory}", [finding])
    context = look("single", directory, default_model, load_models)
    found = _checked(context, f"the model directory {directory}")
    return _repository(context, found, default_model or context.names[0])


def inspect_shared_models(directory: Path) -> Repository:
    """Find the models that the image shares among tenants, if any, and check all of them.

    Raises:
        RepositoryError: one of them can't be served; the findings say why.
    """
    if not directory.is_dir():
        return Repository(directory, None, ())
    context = look("shared", directory)
    return _repository(context, _checked(context, f"the directory of shared models {directory}"), None)


def _checked(context: Context, subject: str) -> tuple[Finding, ...]:
    findings = check(context)
    if found := errors(findings):
        expected = f"\nExpected:\n{EXPECTED.format(name=context.root.name)}"
        helps = any(finding.code in LAYOUT_CODES for finding in found)
        raise RepositoryError(subject, findings, f"Found:\n{tree(context.root)}{expected if helps else ''}")
    return findings


def _repository(context: Context, findings: tuple[Finding, ...], default_model: str | None) -> Repository:
    loaded = tuple(context.models[name] for name in context.loaded)
    return Repository(context.root, default_model, context.names, loaded, warnings(findings))
