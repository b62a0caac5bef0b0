"""Whether a tenant fits into what is left, and what it took: the cause of 507 before a load is tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from serve.repository import Tenant
from serve.resources import Resources

__all__ = ["Admission", "NoRoomError", "Usage"]

MIB = 1024 * 1024

# What a tenant's symlinks and configurations take at the most; its weights are not copied.
INSTALL_BYTES = MIB


class NoRoomError(Exception):
    """A tenant does not fit. The message says what is short, how much is needed and how much is left, in MiB."""


@dataclass(frozen=True)
class Usage:
    """What a tenant took, in bytes of host and of GPU memory."""

    host: int
    gpu: int

    def __str__(self) -> str:
        """Return it in MiB."""
        return f"{self.host / MIB:.0f} MiB of host memory" + (
            f", {self.gpu / MIB:.0f} MiB of the GPU" if self.gpu else ""
        )


class Admission:
    """Decides about loads; those under way count as if they had taken already what they will take.

    Args:
        resources: what is left.
        shm_bytes: shared memory that each process of a Python model starts with.
    """

    def __init__(self, resources: Resources, shm_bytes: int) -> None:
        """Nothing has been loaded yet, so nothing is known of any archive."""
        self._resources = resources
        self._shm_bytes = shm_bytes
        self._took: dict[tuple[str, int], Usage] = {}
        self._host_promised = 0
        self._shm_promised = 0

    @contextmanager
    def admit(self, tenant: Tenant) -> Iterator[None]:
        """Keep a tenant's share for as long as its load is under way.

        Raises:
            NoRoomError: it does not fit.
        """
        took = self._took.get(_key(tenant))
        host = max(tenant.required_bytes, took.host if took and took.host else tenant.size_bytes)
        shm = tenant.python_instances * self._shm_bytes
        _check("host memory", host, self._resources.free_memory() - self._host_promised)
        _check("shared memory (/dev/shm)", shm, self._resources.free_shared_memory() - self._shm_promised)
        _check("disk", INSTALL_BYTES, self._resources.free_disk())
        free_gpu = self._resources.free_gpu_memory()
        if took and free_gpu is not None:
            _check("GPU memory", took.gpu, free_gpu)
        self._host_promised += host
        self._shm_promised += shm
        try:
            yield
        finally:
            self._host_promised -= host
            self._shm_promised -= shm

    def remember(self, tenant: Tenant, usage: Usage) -> None:
        """Keep what an archive took for the next time that it is loaded."""
        self._took[_key(tenant)] = usage


def _key(tenant: Tenant) -> tuple[str, int]:
    return str(tenant.directory), tenant.size_bytes


def _check(what: str, needed: int, left: int) -> None:
    if needed > left:
        raise NoRoomError(
            f"not enough {what}: {needed / MIB:.0f} MiB are needed, {max(0, left) / MIB:.0f} MiB are left"
        )
