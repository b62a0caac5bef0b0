"""The models of a single-model endpoint, and the shared models of an image: checked before the start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serve.repository.findings import Finding, RepositoryError, errors, warnings
from serve.repository.layout import EXPECTED, tree
from serve.repository.model import Model
from serve.repository.rules import Context, check, look

__all__ = ["Repository", "inspect_repository", "inspect_shared_models"]

# For these problems the message also shows the expected tree.
LAYOUT_CODES = frozenset({"config-at-root", "no-model", "no-default-model", "unknown-default-model"})


@dataclass(frozen=True)
class Repository:
    """A model directory that can be served.

    Attributes:
        directory: the directory.
        default_model: the name of the model that `/invocations` runs; None for models that tenants share.
        models: the names of all models in it, sorted.
        loaded: the models that Triton loads at the start; shared models are loaded when a tenant first uses them.
        warnings: findings that do not prevent serving.
    """

    directory: Path
    default_model: str | None
    models: tuple[str, ...]
    loaded: tuple[Model, ...] = ()
    warnings: tuple[Finding, ...] = ()


def inspect_repository(
    directory: Path, default_model: str | None = None, load_models: tuple[str, ...] = ()
) -> Repository:
    """Check the model directory of a single-model endpoint, and find the models to load.

    These are the default model, `load_models`, and all models that they call, directly or not.

    Args:
        directory: what SageMaker extracts to `/opt/ml/model`.
        default_model: the model that `/invocations` runs; None: the only model.
        load_models: other models to load.

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
    """Check the models that the image shares among tenants, if any.

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
