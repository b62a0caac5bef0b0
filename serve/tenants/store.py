"""The loaded tenants on disk: what a restarted app, or a restarted tritonserver, is brought back to."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from serve.repository import Tenant, install_tenant

__all__ = ["LoadedTenant", "Store"]


@dataclass(frozen=True)
class LoadedTenant:
    """A tenant that is loaded.

    Attributes:
        name: what SageMaker calls it.
        url: the directory of its archive, as SageMaker named it.
        entry: what its entry model is called in Triton.
        layers: all its models in Triton, in the order in which they are unloaded; they are loaded in the opposite one.
        shared: the shared models that must be loaded first.
        loaded_at: when, in seconds since the epoch; tells it from another load of the same name.
    """

    name: str
    url: str
    entry: str
    layers: tuple[tuple[str, ...], ...]
    shared: tuple[str, ...]
    loaded_at: float

    @property
    def models(self) -> tuple[str, ...]:
        """Return all its models in Triton."""
        return tuple(model for layer in self.layers for model in layer)

    @classmethod
    def of(cls, name: str, url: str, tenant: Tenant, names: Mapping[str, str]) -> LoadedTenant:
        """Translate an archive's own names of its models to Triton's."""
        return cls(
            name=name,
            url=url,
            entry=names[tenant.entry],
            layers=tuple(tuple(names[model] for model in layer) for layer in tenant.layers),
            shared=tenant.shared,
            loaded_at=time.time(),
        )


class Store:
    """Directories of a container's own.

    Args:
        repository: the tenants' models, which Triton reads.
        records: one file for each loaded tenant.
    """

    def __init__(self, repository: Path, records: Path) -> None:
        """Create the directories where they are missing."""
        self._repository = repository
        self._records = records
        repository.mkdir(parents=True, exist_ok=True)
        records.mkdir(parents=True, exist_ok=True)

    def install(self, tenant: Tenant, names: Mapping[str, str], *, on_cpu: bool) -> None:
        """Write a tenant's models for Triton. Raises OSError when the disk is full."""
        install_tenant(tenant, names, self._repository, on_cpu=on_cpu)

    def remove(self, models: Collection[str]) -> None:
        """Remove models, none of which is loaded any more."""
        for model in models:
            shutil.rmtree(self._repository / model, ignore_errors=True)

    def record(self, tenant: LoadedTenant) -> None:
        """Remember that a tenant is loaded. Raises OSError when the disk is full, and leaves nothing then."""
        path = self._record_of(tenant.name)
        unfinished = path.with_suffix(".part")
        try:
            unfinished.write_text(json.dumps(asdict(tenant)), encoding="utf-8")
            unfinished.rename(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise

    def forget(self, name: str) -> None:
        """Remember that a tenant is not loaded."""
        self._record_of(name).unlink(missing_ok=True)

    def recorded(self) -> Iterator[LoadedTenant]:
        """Yield the tenants that were loaded."""
        for path in sorted(self._records.glob("*.json")):
            values = json.loads(path.read_text(encoding="utf-8"))
            yield LoadedTenant(
                **{
                    **values,
                    "layers": tuple(map(tuple, values["layers"])),
                    "shared": tuple(values["shared"]),
                }
            )

    def installed(self) -> set[str]:
        """Return the models that are written for Triton."""
        return {path.name for path in self._repository.iterdir()}

    def _record_of(self, name: str) -> Path:
        return self._records / f"{hashlib.sha256(name.encode()).hexdigest()}.json"
