"""The extracted archives that SageMaker asks to load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serve.repository import RepositoryError, Tenant, inspect_tenant
from serve.tenants.errors import TenantLoadError
from serve.tenants.values import SharedModels

__all__ = ["Archives"]


@dataclass(frozen=True)
class Archives:
    """Where archives are, and what they may use.

    Attributes:
        models_dir: where SageMaker puts archives.
        shared: the image's shared models.
    """

    models_dir: Path
    shared: SharedModels

    def inspect(self, url: str) -> Tenant:
        """Return what the archive at `url` holds.

        Raises:
            TenantLoadError: it is not an extracted archive below `models_dir`, or can't be served.
        """
        try:
            directory = Path(url).resolve()
        except (OSError, RuntimeError) as error:  # too long, or a symlink to itself
            raise TenantLoadError(f"url {url!r} can't be read: {error}") from error
        if not directory.is_relative_to(self.models_dir.resolve()):
            raise TenantLoadError(f"url {url!r} is not inside of {self.models_dir}")
        if not directory.is_dir():
            raise TenantLoadError(f"url {url!r} is not a directory: expected an extracted archive")
        try:
            return inspect_tenant(directory, self.shared.names)
        except RepositoryError as error:
            raise TenantLoadError(str(error)) from error
