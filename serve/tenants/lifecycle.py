"""Loading, unloading and looking up the tenants of a multi-model endpoint."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from serve import sagemaker
from serve.machine.resources import Resources
from serve.repository import RepositoryError, Tenant, names_in_triton
from serve.tenants.admission import Admission, Meter
from serve.tenants.archives import Archives
from serve.tenants.condition import Condition
from serve.tenants.errors import AlreadyLoadedError, NotLoadedError, OutOfResourcesError, TenantLoadError
from serve.tenants.exclusive import Exclusive
from serve.tenants.loading import Loader
from serve.tenants.registry import Registry
from serve.tenants.store import Store
from serve.tenants.unloading import CLEAR_SECONDS, Unloader
from serve.tenants.values import LoadedTenant, Usage
from serve.triton.control import ControlError, Deadline
from serve.triton.errors import is_out_of_memory

__all__ = ["LOAD_SECONDS", "UNLOAD_SECONDS", "Tenants"]

logger = logging.getLogger("serve.app")

# Part of the time that SageMaker gives a load or an unload. The rest is for removing what a failed load has left.
LOAD_SECONDS = sagemaker.MODEL_LOAD_SECONDS - 40.0
UNLOAD_SECONDS = LOAD_SECONDS + CLEAR_SECONDS


@dataclass(frozen=True)
class Tenants:
    """The tenants.

    Attributes:
        archives: the archives that can be loaded.
        admission: decides whether a load fits.
        meter: reads what a load took.
        resources: tells whether the kernel has killed for lack of memory.
        store: where tenants are written and recorded.
        registry: the loaded tenants.
        exclusive: one operation at a time for each tenant.
        loader: loads models.
        unloader: unloads models, and removes what a failed load has left.
        condition: tells whether a tenant has lost a process.
    """

    archives: Archives
    admission: Admission
    meter: Meter
    resources: Resources
    store: Store
    registry: Registry
    exclusive: Exclusive
    loader: Loader
    unloader: Unloader
    condition: Condition

    @property
    def recovered(self) -> asyncio.Event:
        """Return the event that is set once the tenants loaded before a restart are back."""
        return self.exclusive.recovered

    def get(self, name: str) -> LoadedTenant | None:
        """Return a loaded tenant, or None."""
        return self.registry.get(name)

    def names(self) -> list[str]:
        """Return the names of all loaded tenants, sorted."""
        return self.registry.names()

    async def load(self, name: str, url: str, seconds: float = LOAD_SECONDS) -> None:
        """Load the archive at `url` as a tenant; return once it is ready.

        A load that fails leaves nothing behind.

        Args:
            name: the tenant.
            url: the directory of its archive.
            seconds: how long it may take.

        Raises:
            AlreadyLoadedError, OutOfResourcesError, TenantLoadError, ControlError: see there.
        """
        async with self.exclusive.tenant(name, seconds) as deadline:
            if self.registry.get(name) is not None:
                raise AlreadyLoadedError(f"{name!r} is already loaded")
            await self.unloader.finish(name, deadline, force=True)
            started = time.monotonic()
            tenant = await asyncio.to_thread(self.archives.inspect, url)
            with self._tenant_errors(), self.admission.admit(tenant):
                usage = await self._install_and_load(name, url, tenant, deadline)
            self.admission.remember(tenant, usage)
            logger.info("loaded %s in %.1f s: %s", name, time.monotonic() - started, usage)

    async def unload(self, name: str, only: LoadedTenant | None = None, seconds: float = UNLOAD_SECONDS) -> None:
        """Unload a tenant: let its requests in flight finish, and return once its memory is freed.

        After an unload that fails the tenant is not loaded. The next unload or load of that name finishes the job.

        Args:
            name: the tenant.
            only: unload this load of the tenant, but no later one.
            seconds: how long it may take.

        Raises:
            NotLoadedError, ControlError: see there.
        """
        async with self.exclusive.tenant(name, seconds) as deadline:
            tenant = self.registry.get(name)
            # Identity: a tenant that was brought back after a restart is equal to the one that was recorded.
            is_another = only is not None and only is not tenant
            if is_another or (tenant is None and not self.unloader.is_unfinished(name)):
                raise NotLoadedError(f"{name!r} is not loaded")
            started = time.monotonic()
            force = tenant is None or await self.condition.is_broken(tenant)
            if tenant is not None:
                await self.registry.remove(name)
                self.unloader.begin(tenant)
            await self.unloader.finish(name, deadline, force=force)
            logger.info("unloaded %s in %.1f s", name, time.monotonic() - started)

    async def _install_and_load(self, name: str, url: str, tenant: Tenant, deadline: Deadline) -> Usage:
        shared = self.archives.shared
        names = names_in_triton(name, tenant, shared.names, self.unloader.abandoned)
        loaded = LoadedTenant.of(name, url, tenant, names)
        before = await asyncio.to_thread(self.meter.read, loaded)
        try:
            await asyncio.to_thread(self.store.install, tenant, names, on_cpu=shared.on_cpu)
            await self.loader.load(loaded, deadline)
            await asyncio.to_thread(self.store.record, loaded)
            await self.registry.add(loaded)
        except BaseException:  # cancellation too: the app is being stopped
            await self.unloader.clear_away(loaded)
            raise
        return (await asyncio.to_thread(self.meter.read, loaded)).since(before)

    @contextmanager
    def _tenant_errors(self) -> Iterator[None]:
        """Tell from the reason why a load failed whether a resource was short or the archive can't be served."""
        kills = self.resources.kills_for_memory()
        try:
            yield
        except (ControlError, OSError, RepositoryError) as error:
            if isinstance(error, ControlError) and not error.reached:
                raise
            if self.resources.kills_for_memory() > kills:
                message = f"the kernel killed a process of the model for lack of memory: {error}"
                raise OutOfResourcesError(message) from error
            kind = OutOfResourcesError if is_out_of_memory(str(error)) else TenantLoadError
            raise kind(str(error)) from error
