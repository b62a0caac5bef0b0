"""What is known of a loaded tenant, of the image's shared models, and of the memory that a load took."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from serve.repository import Tenant

__all__ = ["MIB", "LoadedTenant", "SharedModels", "Usage"]

MIB = 1024 * 1024


@dataclass(frozen=True)
class LoadedTenant:
    """A tenant that is loaded.

    Attributes:
        name: its name in SageMaker.
        url: the directory of its archive, as SageMaker named it.
        entry: the name of its entry model in Triton.
        layers: all its models in Triton, in the order in which they are unloaded. They are loaded in the reverse order.
        shared: the shared models that must be loaded first.
        loaded_at: seconds since the epoch; distinguishes it from another load of the same name.
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
        """Translate the archive's own model names to the names in Triton."""
        return cls(
            name=name,
            url=url,
            entry=names[tenant.entry],
            layers=tuple(tuple(names[model] for model in layer) for layer in tenant.layers),
            shared=tenant.shared,
            loaded_at=time.time(),
        )


@dataclass(frozen=True)
class SharedModels:
    """The models that the image shares among tenants.

    Attributes:
        names: their names, the same in archives and in Triton.
        on_cpu: whether this machine has no GPU.
    """

    names: frozenset[str]
    on_cpu: bool


@dataclass(frozen=True)
class Usage:
    """What a tenant took, in bytes of host and of GPU memory."""

    host: int
    gpu: int

    def since(self, before: Usage) -> Usage:
        """Return what was taken between two readings; 0 where one of them is 0, which means unknown."""
        return Usage(_grown(before.host, self.host), _grown(before.gpu, self.gpu))

    def __str__(self) -> str:
        """Return it in MiB."""
        return f"{self.host / MIB:.0f} MiB of host memory" + (
            f", {self.gpu / MIB:.0f} MiB of GPU memory" if self.gpu else ""
        )


def _grown(before: int, after: int) -> int:
    return max(0, after - before) if before and after else 0
