"""The tenants of a multi-model endpoint: load, unload, look up. Knows no HTTP.

One lock a tenant makes one order of events: a load waits for an unload of the same tenant and the other way round;
different tenants never wait for each other.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

import psutil

from serve import sagemaker
from serve.front_door.tenant_map import Routes
from serve.machine.resources import Resources
from serve.repository import RepositoryError, Tenant, inspect_tenant, names_in_triton
from serve.tenants.admission import Admission, NoRoomError, Usage
from serve.tenants.store import LoadedTenant, Store
from serve.triton.control import ControlError, Deadline, StillUnloadingError, TritonControl
from serve.triton.errors import is_out_of_memory
from serve.triton.processes import (
    Instance,
    UnknownCommandLineError,
    await_end,
    host_memory,
    kill,
    running_instances,
)

__all__ = ["AlreadyLoadedError", "NotLoadedError", "OutOfResourcesError", "TenantError", "TenantLoadError", "Tenants"]

logger = logging.getLogger("serve.app")

RECOVERY_POLL_SECONDS = 0.2

# Of the time that SageMaker gives a load or an unload; what a load that failed has left is cleared within it.
LOAD_SECONDS = sagemaker.MODEL_LOAD_SECONDS - 40.0
CLEAR_SECONDS = 30.0
UNLOAD_SECONDS = LOAD_SECONDS + CLEAR_SECONDS

# What the requests that a tenant without one of its processes still answers may take; SageMaker itself waits for 60 s.
BROKEN_SECONDS = 10.0

# What an order to Triton may take although the time is up.
LAST_SECONDS = 1.0


class TenantError(Exception):
    """A tenant can't be loaded or unloaded.

    AlreadyLoadedError  it is loaded.
    NotLoadedError      it is not.
    OutOfResourcesError memory, shared memory, disk or GPU memory is short: something else must be unloaded first.
    TenantLoadError     its archive can't be served.
    """


class AlreadyLoadedError(TenantError):
    """The tenant is loaded already."""


class NotLoadedError(TenantError):
    """The tenant is not loaded."""


class OutOfResourcesError(TenantError):
    """Something is short; the message says what."""


class TenantLoadError(TenantError):
    """The archive can't be served; the message says why."""


@dataclass(frozen=True)
class Shared:
    """The image's shared models.

    Attributes:
        names: what they are called, in archives and in Triton alike.
        on_cpu: whether this machine has no GPU.
    """

    names: frozenset[str]
    on_cpu: bool


class Tenants:
    """The tenants.

    Attributes:
        recovered: set once those that were loaded before a restart are back. Loads and unloads wait for it.

    Args:
        control: Triton's model control.
        store: where tenants are written.
        routes: what HAProxy hands to Triton by itself.
        resources: what is left of the machine.
        admission: decides about loads.
        models_dir: where SageMaker puts archives.
        shared: the image's shared models.
        is_broken: tells whether a tenant has lost a process.
    """

    def __init__(
        self,
        control: TritonControl,
        store: Store,
        routes: Routes,
        resources: Resources,
        admission: Admission,
        models_dir: Path,
        shared: Shared,
        is_broken: Callable[[LoadedTenant], Awaitable[bool]],
    ) -> None:
        """Start without tenants; `recover` brings back those that were loaded."""
        self._control = control
        self._store = store
        self._routes = routes
        self._resources = resources
        self._admission = admission
        self._models_dir = models_dir
        self._shared = shared
        self._is_broken = is_broken
        self._tenants: dict[str, LoadedTenant] = {}
        self._unfinished: dict[str, LoadedTenant] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._loaded_shared: set[str] = set()
        self._abandoned: frozenset[str] = frozenset()
        self.recovered = asyncio.Event()
        self._recovery = asyncio.Lock()

    def get(self, name: str) -> LoadedTenant | None:
        """Return a loaded tenant, or None."""
        return self._tenants.get(name)

    def names(self) -> list[str]:
        """Return the names of all loaded tenants, sorted."""
        return sorted(self._tenants)

    @property
    def loaded_shared(self) -> frozenset[str]:
        """Return the shared models that are loaded, which every tenant may depend on."""
        return frozenset(self._loaded_shared)

    async def load(self, name: str, url: str) -> None:
        """Load the archive at `url` as a tenant; return once it is ready.

        A load that fails leaves nothing behind.

        Raises:
            AlreadyLoadedError, OutOfResourcesError, TenantLoadError, ControlError: see there.
        """
        async with self._turn(name, LOAD_SECONDS) as deadline:
            if name in self._tenants:
                raise AlreadyLoadedError(f"{name!r} is already loaded")
            await self._finish(name, deadline, hasty=True)
            started = time.monotonic()
            tenant = await asyncio.to_thread(self._inspect, url)
            kills = self._resources.kills_for_memory()
            try:
                with self._admission.admit(tenant):
                    usage = await self._install_and_load(name, url, tenant, deadline)
            except NoRoomError as error:
                raise OutOfResourcesError(str(error)) from error
            except (ControlError, OSError, RepositoryError) as error:
                if isinstance(error, ControlError) and not error.reached:
                    raise
                killed = self._resources.kills_for_memory() > kills
                if killed or is_out_of_memory(str(error)):
                    raise OutOfResourcesError(_because(error, killed=killed)) from error
                raise TenantLoadError(str(error)) from error
            self._admission.remember(tenant, usage)
            logger.info("loaded %s in %.1f s: %s", name, time.monotonic() - started, usage)

    async def unload(self, name: str, only: LoadedTenant | None = None) -> None:
        """Unload a tenant: let what is in flight finish, and return once its memory is given back.

        An unload that fails leaves a tenant that is not loaded; the next unload or load of that name finishes it.

        Args:
            name: the tenant.
            only: unload this load of it, and none that came after.

        Raises:
            NotLoadedError, ControlError: see there.
        """
        async with self._turn(name, UNLOAD_SECONDS) as deadline:
            tenant = self._tenants.get(name)
            if only not in (None, tenant) or (tenant is None and name not in self._unfinished):
                raise NotLoadedError(f"{name!r} is not loaded")
            started = time.monotonic()
            hasty = tenant is None or await self._is_broken(tenant)
            if tenant is not None:
                await self._routes.remove(name)  # first: who is told 404 by one route is told so by all
                self._unfinished[name] = self._tenants.pop(name)
            await self._finish(name, deadline, hasty=hasty)
            logger.info("unloaded %s in %.1f s", name, time.monotonic() - started)

    async def recover(self) -> None:
        """Bring back the tenants that were loaded before the app or tritonserver was restarted, and clear the rest.

        Returns once Triton answers and all of it is done. A tenant that can't be brought back is unloaded: SageMaker
        loads it again when it is next invoked.
        """
        async with self._recovery:
            await self._recover()

    async def _recover(self) -> None:
        self.recovered.clear()
        for lock in list(self._locks.values()):
            async with lock:  # whatever is under way fails by itself when tritonserver has gone
                pass
        ready = await self._ready_models()
        self._unfinished.clear()  # it is among what was recorded, or installed and not recorded
        self._loaded_shared = ready & self._shared.names
        recorded = list(self._store.recorded())
        self._tenants = {tenant.name: tenant for tenant in recorded if ready.issuperset(tenant.models)}
        await self._replace_routes()
        wanted = {model for tenant in recorded for model in tenant.models}
        stray = self._store.installed() - wanted
        await self._unload_models((tuple(stray),), Deadline(CLEAR_SECONDS), hasty=True)
        await asyncio.to_thread(self._store.remove, stray)
        self._abandoned = frozenset(await self._control.loaded() - ready - wanted)
        await asyncio.gather(*(self._load_again(tenant) for tenant in recorded if tenant.name not in self._tenants))
        await self._replace_routes()
        self.recovered.set()

    async def _ready_models(self) -> set[str]:
        with suppress(ControlError):
            return await self._control.ready()
        self._tenants.clear()
        await self._replace_routes()
        while True:
            with suppress(ControlError):  # it is starting
                return await self._control.ready()
            await asyncio.sleep(RECOVERY_POLL_SECONDS)

    async def _replace_routes(self) -> None:
        await self._routes.replace({tenant.name: tenant.entry for tenant in self._tenants.values()})

    async def _load_again(self, tenant: LoadedTenant) -> None:
        try:
            await self._load_models(tenant, Deadline(LOAD_SECONDS))
        except ControlError as error:
            logger.error("%s can't be loaded again: %s", tenant.name, error)
            await self._clear_away(tenant)
        else:
            self._tenants[tenant.name] = tenant
            logger.info("loaded %s again", tenant.name)

    def _inspect(self, url: str) -> Tenant:
        try:
            directory = Path(url).resolve()
        except (OSError, RuntimeError) as error:  # too long, or a symlink to itself
            raise TenantLoadError(f"url {url!r} can't be read: {error}") from error
        if not directory.is_relative_to(self._models_dir.resolve()):
            raise TenantLoadError(f"url {url!r} is not inside of {self._models_dir}")
        if not directory.is_dir():
            raise TenantLoadError(f"url {url!r} is not a directory: expected an extracted archive")
        try:
            return inspect_tenant(directory, self._shared.names)
        except RepositoryError as error:
            raise TenantLoadError(str(error)) from error

    async def _install_and_load(self, name: str, url: str, tenant: Tenant, deadline: Deadline) -> Usage:
        names = names_in_triton(name, tenant, self._shared.names, self._abandoned)
        loaded = LoadedTenant.of(name, url, tenant, names)
        before = await asyncio.to_thread(self._used, loaded)
        try:
            await asyncio.to_thread(self._store.install, tenant, names, on_cpu=self._shared.on_cpu)
            await self._load_models(loaded, deadline)
            await asyncio.to_thread(self._store.record, loaded)
            await self._routes.add(name, loaded.entry)
        except BaseException:  # also that the app is being stopped
            await self._clear_away(loaded)
            raise
        self._tenants[name] = loaded
        return (await asyncio.to_thread(self._used, loaded)).since(before)

    async def _load_models(self, tenant: LoadedTenant, deadline: Deadline) -> None:
        """Load its models, what is called before what calls it.

        Triton would load what an ensemble runs by itself, but it loads ensembles that have a model in common, such as a
        shared one, one after the other.
        """
        await asyncio.gather(*(self._load_shared(model, deadline) for model in tenant.shared))
        for layer in reversed(tenant.layers):
            # Nothing is loading any more when a failure is cleared away.
            loads = (self._control.load(model, deadline.left()) for model in layer)
            outcomes = await asyncio.gather(*loads, return_exceptions=True)
            for failure in filter(None, outcomes):
                raise failure

    async def _load_shared(self, model: str, deadline: Deadline) -> None:
        """Load a shared model by its own name, once: it then stays when the tenants that use it go."""
        async with self._lock(f"/shared/{model}"):
            if model not in self._loaded_shared:
                await self._control.load(model, deadline.left())
                self._loaded_shared.add(model)

    async def _clear_away(self, tenant: LoadedTenant) -> None:
        """Leave nothing of a load that has failed, for whatever reason; log it if that fails as well."""
        self._unfinished[tenant.name] = tenant
        try:
            await self._finish(tenant.name, Deadline(CLEAR_SECONDS), hasty=True)
        except (ControlError, OSError) as error:
            logger.error("%s could not be cleared away, its next load or unload will try again: %s", tenant.name, error)

    async def _finish(self, name: str, deadline: Deadline, *, hasty: bool) -> None:
        """Take away what there is of a tenant that is not loaded any more, or not yet."""
        if (tenant := self._unfinished.get(name)) is None:
            return
        await self._routes.remove(name)
        await self._unload_models(tenant.layers, deadline, hasty=hasty)
        await asyncio.to_thread(self._store.remove, tenant.models)
        await asyncio.to_thread(self._store.forget, name)
        del self._unfinished[name]

    async def _unload_models(self, layers: tuple[tuple[str, ...], ...], deadline: Deadline, *, hasty: bool) -> None:
        """Unload models, those that call others first, and wait for the end of their processes.

        Args:
            layers: their names.
            deadline: until when.
            hasty: abandon what is not gone within BROKEN_SECONDS: nobody waits for its answers, or they never come.

        Raises:
            StillUnloadingError: they are not gone by the deadline.
            ControlError: Triton does not answer.
        """
        models = frozenset(model for layer in layers for model in layer)
        before = await asyncio.to_thread(_instances_of, models)
        gone: set[str] = set()
        for layer in layers:
            while True:
                try:
                    await self._control.unload(layer, min(BROKEN_SECONDS, max(deadline.left(), LAST_SECONDS)))
                    break
                except StillUnloadingError as error:
                    if hasty:
                        await self._abandon(error.models)
                        break
                    if not deadline.left():
                        raise
                    died = before - await asyncio.to_thread(_instances_of, models)
                    hasty = any(instance.model not in gone for instance in died)
            gone.update(layer)
        with suppress(UnknownCommandLineError):
            await asyncio.to_thread(await_end, models)

    async def _abandon(self, models: frozenset[str]) -> None:
        """Kill the processes of models that Triton does not end to unload, and never use their names again.

        A model that has failed a request because a process was gone is never unloaded: Triton goes on to count the
        request. All that is then left of it is its name.
        """
        with suppress(UnknownCommandLineError):
            await asyncio.to_thread(kill, models)
        self._abandoned |= models

    def _used(self, tenant: LoadedTenant) -> Usage:
        """Return what is in use; 0 where that can't be told, which is no reason for a load to fail."""
        host = 0
        with suppress(UnknownCommandLineError, psutil.Error):
            host = host_memory(tenant.models)
        return Usage(host, gpu=-(self._resources.free_gpu_memory() or 0))

    @asynccontextmanager
    async def _turn(self, name: str, seconds: float) -> AsyncIterator[Deadline]:
        """Wait until nothing else happens to a tenant, and nothing is being brought back.

        Yields:
            Until when an operation may take that was asked for now and must have ended in so many seconds.

        Raises:
            ControlError: the time is up already.
        """
        deadline = Deadline(seconds)
        while True:
            await self.recovered.wait()
            async with self._lock(name):
                if not self.recovered.is_set():
                    continue
                if not deadline.left():
                    raise ControlError(f"{name!r} was still being loaded or unloaded after {seconds:.0f} s: try again")
                yield deadline
                return

    def _lock(self, name: str) -> asyncio.Lock:
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock


def _because(error: Exception, *, killed: bool) -> str:
    return f"the kernel killed a process of the model for lack of memory: {error}" if killed else str(error)


def _instances_of(models: frozenset[str]) -> frozenset[Instance]:
    """Return the live processes of models; none where nothing can be said of them."""
    try:
        return frozenset(instance for instance in running_instances() if instance.model in models)
    except UnknownCommandLineError:
        return frozenset()
