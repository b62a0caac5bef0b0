"""Whether a tenant fits into what is left, and what it took: the cause of 507 before a load is tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from serve.machine.resources import Resources
from serve.repository import Runtime, Tenant

__all__ = ["Admission", "NoRoomError", "Usage"]

MIB = 1024 * 1024

# What a tenant's symlinks and configurations take at the most; its weights are not copied.
INSTALL_BYTES = MIB

# How many archives are known by what they took: many times those that one instance serves.
REMEMBERED = 10_000


class NoRoomError(Exception):
    """A tenant does not fit. The message says what is short, how much is needed and how much is left, in MiB."""


@dataclass(frozen=True)
class Usage:
    """What a tenant took, in bytes of host and of GPU memory."""

    host: int
    gpu: int

    def since(self, before: Usage) -> Usage:
        """Return what was taken between two readings; 0 where one of them is 0, which is unknown."""
        return Usage(_grown(before.host, self.host), _grown(before.gpu, self.gpu))

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
        runtime: what decides how many processes a model runs in.
    """

    def __init__(self, resources: Resources, shm_bytes: int, runtime: Runtime) -> None:
        """Nothing has been loaded yet, so nothing is known of any archive."""
        self._resources = resources
        self._shm_bytes = shm_bytes
        self._runtime = runtime
        self._took: dict[tuple[str, int], Usage] = {}
        self._host = _Budget("host memory")
        self._shm = _Budget("shared memory (/dev/shm)")
        self._disk = _Budget("disk")
        self._gpu = _Budget("GPU memory")

    @contextmanager
    def admit(self, tenant: Tenant) -> Iterator[None]:
        """Keep a tenant's share for as long as its load is under way.

        Raises:
            NoRoomError: it does not fit.
        """
        took = self._took.get(_key(tenant))
        host = max(tenant.required_bytes, took.host if took and took.host else tenant.size_bytes)
        shm = tenant.processes(self._runtime) * self._shm_bytes
        free_gpu = self._resources.free_gpu_memory()
        with ExitStack() as promises:
            promises.enter_context(self._host.promise(host, self._resources.free_memory()))
            promises.enter_context(self._shm.promise(shm, self._resources.free_shared_memory()))
            promises.enter_context(self._disk.promise(INSTALL_BYTES, self._resources.free_disk()))
            if took and free_gpu is not None:
                promises.enter_context(self._gpu.promise(took.gpu, free_gpu))
            yield

    def remember(self, tenant: Tenant, usage: Usage) -> None:
        """Keep what an archive took for the next time that it is loaded; forget the archive that was first to come."""
        self._took.pop(_key(tenant), None)
        self._took[_key(tenant)] = usage
        if len(self._took) > REMEMBERED:
            del self._took[next(iter(self._took))]


class _Budget:
    """What is left of a resource once the loads under way have taken what was promised to them.

    Args:
        what: its name.
    """

    def __init__(self, what: str) -> None:
        """Nothing is promised yet."""
        self._what = what
        self._promised = 0
        self._left = 0

    @contextmanager
    def promise(self, needed: int, free: int) -> Iterator[None]:
        """Keep a share for as long as a block lasts.

        Of a promise a part has been taken already, and nothing tells how much. What is free now without all promises
        therefore is too little: it counts that part twice. What was left at the last promise without that one is too
        little as well: it misses what was given back since. The larger is right, or at least nearer.

        Raises:
            NoRoomError: that much is not left.
        """
        left = min(free, max(free - self._promised, self._left))
        if needed > left:
            raise NoRoomError(
                f"not enough {self._what}: {needed / MIB:.0f} MiB are needed, {max(0, left) / MIB:.0f} MiB are left"
            )
        self._promised += needed
        self._left = left - needed
        try:
            yield
        except BaseException:
            self._left += needed  # a load that fails leaves nothing
            raise
        finally:
            self._promised -= needed


def _grown(before: int, after: int) -> int:
    return max(0, after - before) if before and after else 0


def _key(tenant: Tenant) -> tuple[str, int]:
    return str(tenant.directory), tenant.size_bytes
