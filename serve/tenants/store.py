"""The loaded tenants on disk, from which a restarted app, or a restarted tritonserver, recovers."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from serve.repository import Tenant, install_tenant
from serve.tenants.values import LoadedTenant

__all__ = ["Store"]


class Store:
    """Two existing directories that belong to this container alone.

    Args:
        repository: the tenants' models, which Triton reads.
        records: one file for each loaded tenant.
    """

    def __init__(self, repository: Path, records: Path) -> None:
        """Nothing is read or written yet."""
        self._repository = repository
        self._records = records

    def install(self, tenant: Tenant, names: Mapping[str, str], *, on_cpu: bool) -> None:
        """Write a tenant's models for Triton. Raises OSError when the disk is full."""
        install_tenant(tenant, names, self._repository, on_cpu=on_cpu)

    def remove(self, models: Collection[str]) -> None:
        """Remove models, none of which is loaded any more."""
        for model in models:
            shutil.rmtree(self._repository / model, ignore_errors=True)

    def record(self, tenant: LoadedTenant) -> None:
        """Record that a tenant is loaded. Raises OSError when the disk is full, and then leaves nothing behind."""
        path = self._record_of(tenant.name)
        unfinished = path.with_suffix(".part")
        try:
            unfinished.write_text(json.dumps(asdict(tenant)), encoding="utf-8")
            unfinished.rename(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise

    def forget(self, name: str) -> None:
        """Record that a tenant is not loaded."""
        self._record_of(name).unlink(missing_ok=True)

    def recorded(self) -> Iterator[LoadedTenant]:
        """Yield the tenants that were loaded.

        Raises:
            ValueError: a record is damaged; names the file.
        """
        for path in sorted(self._records.glob("*.json")):
            yield _read(path)

    def installed(self) -> set[str]:
        """Return the models that are written for Triton."""
        return {path.name for path in self._repository.iterdir()}

    def _record_of(self, name: str) -> Path:
        return self._records / f"{hashlib.sha256(name.encode()).hexdigest()}.json"


def _read(path: Path) -> LoadedTenant:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        layers, shared = tuple(map(tuple, values["layers"])), tuple(values["shared"])
        return LoadedTenant(**{**values, "layers": layers, "shared": shared})
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"the record {path} of a loaded tenant is damaged: {error!r}") from error
