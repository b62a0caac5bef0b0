"""Checks that `serve` would load an archive, with the code that `serve` runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from byoc.errors import ArchiveError
from serve.repository import Finding, RepositoryError, inspect_repository, inspect_tenant, refusal

__all__ = ["Checked", "MultiModel", "SingleModel", "check", "outline_directory"]

_REMEDY = "Here that is {}, or the same variable under `environment:` in endpoint.yaml."
_OPTIONS: dict[str, str] = {
    "no-default-model": "--default-model",
    "unknown-default-model": "--default-model",
    "unknown-load-model": "--load-model",
}


@dataclass(frozen=True)
class SingleModel:
    """An endpoint that serves one archive.

    Attributes:
        default_model: the model that `/invocations` runs; None: the only model.
        load_models: other models that are loaded (SAGEMAKER_TRITON_LOAD_MODELS).
    """

    default_model: str | None = None
    load_models: tuple[str, ...] = ()


@dataclass(frozen=True)
class MultiModel:
    """An endpoint that serves many archives.

    Attributes:
        shared_models: the shared models of its image; None if they are unknown.
    """

    shared_models: frozenset[str] | None = None


@dataclass(frozen=True)
class Checked:
    """The result of checking an archive that `serve` would load.

    Attributes:
        models: the names of its models.
        warnings: findings that do not prevent serving.
    """

    models: tuple[str, ...]
    warnings: tuple[Finding, ...]


@contextmanager
def outline_directory(shown: Path) -> Iterator[Path]:
    """Provide an empty temporary directory with the name of `shown`."""
    with TemporaryDirectory(prefix="byoc-") as scratch:
        outline = Path(scratch) / shown.resolve().name
        outline.mkdir()
        yield outline


def check(outline: Path, shown: Path, endpoint: SingleModel | MultiModel) -> Checked:
    """Check the outline of an archive.

    Args:
        outline: its directory.
        shown: the path that the user knows.
        endpoint: the endpoint that will load it.

    Raises:
        ArchiveError: `serve` would refuse it.
    """
    try:
        if isinstance(endpoint, SingleModel):
            repository = inspect_repository(outline, endpoint.default_model, endpoint.load_models)
            return Checked(repository.models, repository.warnings)
        tenant = inspect_tenant(outline, endpoint.shared_models)
        return Checked(tuple(model.name or outline.name for model in tenant.models), tenant.warnings)
    except RepositoryError as error:
        what = "model directory" if isinstance(endpoint, SingleModel) else "archive"
        remedies = (_REMEDY.format(_OPTIONS[one.code]) for one in error.findings if one.code in _OPTIONS)
        raise ArchiveError(refusal(f"the {what} {shown}", error.findings, error.tree), next(remedies, "")) from error
