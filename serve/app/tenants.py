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

from serve.app.admission import Admission, NoRoomError, Usage
from serve.app.store import LoadedTenant, Store
from serve.codecs.triton_errors import is_out_of_memory
from serve.front_door.routes import Routes
from serve.repository import RepositoryError, Tenant, inspect_tenant, names_in_triton
from serve.resources import Resources
from serve.triton.control import ControlError, StillUnloadingError, TritonControl
from serve.triton.processes import UnknownCommandLineError, await_end, host_memory, kill

__all__ = ["AlreadyLoadedError", "NotLoadedError", "OutOfResourcesError", "TenantError", "TenantLoadError", "Tenants"]

logger = logging.getLogger("serve.app")

RECOVERY_POLL_SECONDS = 0.2

# What the requests that a tenant without one of its processes still answers may take; SageMaker itself waits for 60 s.
BROKEN_SECONDS = 10.0


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
        async with self._turn(name):
            if name in self._tenants:
                raise AlreadyLoadedError(f"{name!r} is already loaded")
            started = time.monotonic()
            tenant = await asyncio.to_thread(self._inspect, url)
            kills = self._resources.kills_for_memory()
            try:
                with self._admission.admit(tenant):
                    loaded, usage = await self._install_and_load(name, url, tenant)
            except NoRoomError as error:
                raise OutOfResourcesError(str(error)) from error
            except (ControlError, OSError) as error:
                if isinstance(error, ControlError) and not error.reached:
                    raise
                killed = self._resources.kills_for_memory() > kills
                if killed or is_out_of_memory(str(error)):
                    raise OutOfResourcesError(_because(error, killed=killed)) from error
                raise TenantLoadError(str(error)) from error
            self._admission.remember(tenant, usage)
            self._tenants[name] = loaded
            await self._routes.add(name, loaded.entry)
            logger.info("loaded %s in %.1f s: %s", name, time.monotonic() - started, usage)

    async def unload(self, name: str, only: LoadedTenant | None = None) -> None:
        """Unload a tenant: let what is in flight finish, and return once its memory is given back.

        Args:
            name: the tenant.
            only: unload this load of it, and none that came after.

        Raises:
            NotLoadedError, ControlError: see there.
        """
        async with self._turn(name):
            tenant = self._tenants.get(name)
            if tenant is None or (only is not None and only is not tenant):
                raise NotLoadedError(f"{name!r} is not loaded")
            started = time.monotonic()
            await self._routes.remove(name)  # first: who is told 404 by one route is told so by all
            del self._tenants[name]
            try:
                await (self._abandon(tenant) if await self._is_broken(tenant) else self._clear(tenant.layers))
            except ControlError:
                self._tenants[name] = tenant  # so that the unload can be tried again
                raise
            await asyncio.to_thread(self._store.forget, name)
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
        self._loaded_shared = ready & self._shared.names
        recorded = list(self._store.recorded())
        self._tenants = {tenant.name: tenant for tenant in recorded if ready.issuperset(tenant.models)}
        await self._replace_routes()
        wanted = {model for tenant in recorded for model in tenant.models}
        stray = self._store.installed() - wanted
        await self._clear((tuple(stray),))
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
            await self._load_models(tenant)
        except ControlError as error:
            logger.error("%s can't be loaded again: %s", tenant.name, error)
            await self._clear(tenant.layers)
            self._store.forget(tenant.name)
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

    async def _install_and_load(self, name: str, url: str, tenant: Tenant) -> tuple[LoadedTenant, Usage]:
        names = names_in_triton(name, tenant, self._shared.names, self._abandoned)
        loaded = LoadedTenant.of(name, url, tenant, names)
        before = await asyncio.to_thread(self._used, loaded)
        try:
            await asyncio.to_thread(self._store.install, tenant, names, on_cpu=self._shared.on_cpu)
            await self._load_models(loaded)
            await asyncio.to_thread(self._store.record, loaded)
        except (ControlError, OSError):
            try:
                await self._clear(loaded.layers)
            except ControlError as error:  # tritonserver has gone: what is left is cleared when it is back
                logger.error("%s could not be cleared away: %s", name, error)
            raise
        after = await asyncio.to_thread(self._used, loaded)
        return loaded, Usage(max(0, after.host - before.host), max(0, after.gpu - before.gpu))

    async def _load_models(self, tenant: LoadedTenant) -> None:
        """Load its models, what is called before what calls it.

        Triton would load what an ensemble runs by itself, but it loads ensembles that have a model in common, such as a
        shared one, one after the other.
        """
        await asyncio.gather(*map(self._load_shared, tenant.shared))
        for layer in reversed(tenant.layers):
            # Nothing is loading any more when a failure is cleared away.
            outcomes = await asyncio.gather(*map(self._control.load, layer), return_exceptions=True)
            for failure in filter(None, outcomes):
                raise failure

    async def _load_shared(self, model: str) -> None:
        """Load a shared model by its own name, once: it then stays when the tenants that use it go."""
        async with self._lock(f"/shared/{model}"):
            if model not in self._loaded_shared:
                await self._control.load(model)
                self._loaded_shared.add(model)

    async def _abandon(self, tenant: LoadedTenant) -> None:
        """Unload a tenant that has lost a process.

        A model that has failed a request for that reason is never unloaded: Triton goes on to count the request. All
        that is left of such a model is its name, once its other processes are killed.
        """
        for layer in tenant.layers:
            try:
                await self._control.unload(layer, BROKEN_SECONDS)
            except StillUnloadingError as error:
                await asyncio.to_thread(kill, error.models)
                self._abandoned |= error.models
        await asyncio.to_thread(self._store.remove, tenant.models)

    async def _clear(self, layers: tuple[tuple[str, ...], ...]) -> None:
        for layer in layers:
            await self._control.unload(layer)
        with suppress(UnknownCommandLineError):
            await asyncio.to_thread(await_end, [model for layer in layers for model in layer])
        await asyncio.to_thread(self._store.remove, [model for layer in layers for model in layer])

    def _used(self, tenant: LoadedTenant) -> Usage:
        free_gpu = self._resources.free_gpu_memory()
        try:
            host = host_memory(tenant.models)
        except UnknownCommandLineError:  # the size of its files must do
            host = 0
        return Usage(host, gpu=-(free_gpu or 0))

    @asynccontextmanager
    async def _turn(self, name: str) -> AsyncIterator[None]:
        """Wait until nothing else happens to a tenant, and nothing is being brought back."""
        while True:
            await self.recovered.wait()
            async with self._lock(name):
                if self.recovered.is_set():
                    yield
                    return

    def _lock(self, name: str) -> asyncio.Lock:
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock


def _because(error: Exception, *, killed: bool) -> str:
    return f"the kernel killed a process of the model for lack of memory: {error}" if killed else str(error)
