"""Decides whether a tenant fits into what is left: a load that does not fit is refused with 507 before it is tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import psutil

from serve.machine.resources import Resources
from serve.repository import Runtime, Tenant
from serve.tenants.errors import OutOfResourcesError
from serve.tenants.values import MIB, LoadedTenant, Usage
from serve.triton.processes import ModelProcesses, UnknownCommandLineError

__all__ = ["Admission", "Meter"]

# What a tenant's symlinks and configurations take at most. Its weights are not copied.
INSTALL_BYTES = MIB

# For how many archives it is remembered what they took: many more than one instance serves.
REMEMBERED = 10_000


class Admission:
    """Decides about loads. A load under way counts as if it had already taken everything that was reserved for it.

    Args:
        resources: what is left.
        shm_bytes: shared memory that each process of a Python model starts with.
        runtime: decides how many processes a model runs in.
        remembered: for how many archives to remember what they took.
    """

    def __init__(self, resources: Resources, shm_bytes: int, runtime: Runtime, remembered: int = REMEMBERED) -> None:
        """Nothing has been loaded yet, so nothing is known of any archive."""
        self._resources = resources
        self._shm_bytes = shm_bytes
        self._runtime = runtime
        self._remembered = remembered
        self._took: dict[tuple[str, int], Usage] = {}
        self._host = _Budget("host memory")
        self._shm = _Budget("shared memory (/dev/shm)")
        self._disk = _Budget("disk")
        self._gpu = _Budget("GPU memory")

    @contextmanager
    def admit(self, tenant: Tenant) -> Iterator[None]:
        """Reserve a tenant's share for as long as its load is under way.

        Raises:
            OutOfResourcesError: it does not fit.
        """
        took = self._took.get(_key(tenant))
        host = max(tenant.required_bytes, took.host if took and took.host else tenant.size_bytes)
        shm = tenant.processes(self._runtime) * self._shm_bytes
        free_gpu = self._resources.free_gpu_memory()
        with ExitStack() as reserved:
            reserved.enter_context(self._host.reserve(host, self._resources.free_memory()))
            reserved.enter_context(self._shm.reserve(shm, self._resources.free_shared_memory()))
            reserved.enter_context(self._disk.reserve(INSTALL_BYTES, self._resources.free_disk()))
            if took and free_gpu is not None:
                reserved.enter_context(self._gpu.reserve(took.gpu, free_gpu))
            yield

    def remember(self, tenant: Tenant, usage: Usage) -> None:
        """Keep what an archive took for the next time that it is loaded; forget the one loaded longest ago."""
        self._took.pop(_key(tenant), None)
        self._took[_key(tenant)] = usage
        if len(self._took) > self._remembered:
            del self._took[next(iter(self._took))]


class Meter:
    """Reads how much memory is in use, so that the difference of two readings is what a load took.

    Args:
        resources: what is left.
        processes: reads the processes of models.
    """

    def __init__(self, resources: Resources, processes: ModelProcesses) -> None:
        """Nothing is read yet."""
        self._resources = resources
        self._processes = processes

    def read(self, tenant: LoadedTenant) -> Usage:
        """Return what is in use; 0 where that is unknown, which is no reason for a load to fail."""
        host = 0
        with suppress(UnknownCommandLineError, psutil.Error):
            host = self._processes.host_memory(tenant.models)
        return Usage(host, gpu=-(self._resources.free_gpu_memory() or 0))


class _Budget:
    """What is left of a resource once the loads under way have taken what is reserved for them.

    Args:
        what: the name of the resource.
    """

    def __init__(self, what: str) -> None:
        """Nothing is reserved yet."""
        self._what = what
        self._reserved = 0
        self._left = 0

    @contextmanager
    def reserve(self, needed: int, free: int) -> Iterator[None]:
        """Reserve a share for as long as a block lasts.

        The loads under way have already taken an unknown part of what is reserved for them. So what is free now minus
        all reservations is too low: it counts that part twice. What was left after the last reservation minus this one
        is too low as well: it misses what was given back since. The larger of the two is right, or at least closer.

        Raises:
            OutOfResourcesError: that much is not left.
        """
        left = min(free, max(free - self._reserved, self._left))
        if needed > left:
            raise OutOfResourcesError(
                f"not enough {self._what}: {needed / MIB:.0f} MiB are needed, {max(0, left) / MIB:.0f} MiB are left"
            )
        self._reserved += needed
        self._left = left - needed
        try:
            yield
        except BaseException:
            self._left += needed  # a load that fails leaves nothing behind
            raise
        finally:
            self._reserved -= needed


def _key(tenant: Tenant) -> tuple[str, int]:
    return str(tenant.directory), tenant.size_bytes
