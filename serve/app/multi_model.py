"""What a multi-model endpoint has besides routes: its tenants, brought back at the start, then watched."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any

from serve.app.admission import Admission
from serve.app.health import Health
from serve.app.options import MultiModelOptions
from serve.app.store import LoadedTenant, Store
from serve.app.tenants import NotLoadedError, Shared, Tenants
from serve.front_door.routes import OUT_OF_MEMORY_KEY, Routes
from serve.resources import Resources
from serve.triton.client import TritonClient, UnreachableError
from serve.triton.control import ControlError, TritonControl
from serve.triton.processes import UnknownCommandLineError, dead_groups, running_instances

__all__ = ["MultiModel"]

logger = logging.getLogger("serve.app")

ANSWER_SECONDS = 5.0
DEAD_POLL_SECONDS = 2.0

# Triton needs longer than this to notice that a process is gone, and so to answer the requests that it had.
KILL_POLL_SECONDS = 0.1
KILL_MEMORY_SECONDS = 30.0


class MultiModel:
    """The tenants and the tasks that watch over them, for as long as an `async with` block lasts.

    Args:
        options: what the app was told.
        triton: Triton's HTTP front end.
        health: whether tritonserver itself is well.
    """

    def __init__(self, options: MultiModelOptions, triton: TritonClient, health: Health) -> None:
        """Prepare; nothing runs yet."""
        self._triton = triton
        self._health = health
        self._control = TritonControl(options.triton_grpc)
        self._resources = Resources(Path(options.tenant_repository).parent)
        self._routes = Routes(Path(options.table), Path(options.admin_socket) if options.admin_socket else None)
        self.tenants = Tenants(
            self._control,
            Store(Path(options.tenant_repository), Path(options.records_dir)),
            self._routes,
            self._resources,
            Admission(self._resources, options.shm_bytes),
            Path(options.models_dir),
            Shared(frozenset(options.shared_models), options.on_cpu),
            self._is_broken,
        )
        self._configurations: dict[tuple[str, float], dict[str, Any]] = {}
        self._dead_shared: tuple[str, ...] = ()
        self._killed_at = float("-inf")
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> MultiModel:
        """Begin to bring back the tenants, and to watch."""
        for work in (self.tenants.recover(), self._watch_processes(), self._watch_kills()):
            self._start(work)
        # The supervisor's word that tritonserver was started anew.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: self._start(self.tenants.recover()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._control.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(_logged(work)))

    async def reason_not_ready(self) -> str | None:
        """Return None when tenants can be loaded and invoked, else why not."""
        if (reason := await self._health.reason_not_ready()) is not None:
            return reason
        if not self.tenants.recovered.is_set():
            return "the models are being loaded again"
        if self._dead_shared:
            return f"{', '.join(self._dead_shared)}: a process of this shared model has died"
        return None

    def killed_for_memory(self) -> bool:
        """Tell whether the kernel has just killed a process for lack of memory."""
        return time.monotonic() - self._killed_at < KILL_MEMORY_SECONDS

    async def _watch_processes(self) -> None:
        """Unload a tenant that has lost a process: SageMaker then loads it again, which is what mends it."""
        await self.tenants.recovered.wait()
        while True:
            await asyncio.sleep(DEAD_POLL_SECONDS)
            try:
                running = await asyncio.to_thread(running_instances)
            except UnknownCommandLineError as error:
                return logger.warning("processes that die will not be noticed: %s", error)
            tenants = list(filter(None, map(self.tenants.get, self.tenants.names())))
            dead = {tenant: await self._dead(tenant.models, tenant.loaded_at, running) for tenant in tenants}
            await asyncio.gather(*(self._give_up(tenant, groups) for tenant, groups in dead.items() if groups))
            self._dead_shared = await self._dead(tuple(self.tenants.loaded_shared), 0, running)
            current = {tenant.loaded_at for tenant in tenants} | {0}
            self._configurations = {key: value for key, value in self._configurations.items() if key[1] in current}

    async def _dead(self, models: tuple[str, ...], loaded_at: float, running: dict[str, Any]) -> tuple[str, ...]:
        try:
            return dead_groups([await self._configuration(model, loaded_at) for model in models], running)
        except UnreachableError:  # tritonserver is gone, or the model has been unloaded meanwhile
            return ()

    async def _configuration(self, model: str, loaded_at: float) -> dict[str, Any]:
        """Return the configuration that a model was loaded with; the same name may be loaded anew with another."""
        key = (model, loaded_at)
        if key not in self._configurations:
            self._configurations[key] = await self._triton.configuration(model, ANSWER_SECONDS)
        return self._configurations[key]

    async def _is_broken(self, tenant: LoadedTenant) -> bool:
        try:
            running = await asyncio.to_thread(running_instances)
        except UnknownCommandLineError:
            return False
        return bool(await self._dead(tenant.models, tenant.loaded_at, running))

    async def _give_up(self, tenant: LoadedTenant, dead: tuple[str, ...]) -> None:
        # The first look may have come while the tenant was being unloaded.
        if self.tenants.get(tenant.name) is not tenant or not await self._is_broken(tenant):
            return
        logger.error("%s has lost a process (%s): unloading it", tenant.name, ", ".join(dead))
        try:
            await self.tenants.unload(tenant.name, only=tenant)
        except (NotLoadedError, ControlError) as error:
            logger.warning("unloading %s: %s", tenant.name, error)

    async def _watch_kills(self) -> None:
        """Let the front door know for a while that the kernel has killed a process, so that it answers 507."""
        kills = self._resources.kills_for_memory()
        told = False
        while True:
            await asyncio.sleep(KILL_POLL_SECONDS)
            if (now := self._resources.kills_for_memory()) > kills:
                kills, self._killed_at = now, time.monotonic()
                logger.error("the kernel has killed a process for lack of memory")
            if self.killed_for_memory() != told:
                told = not told
                await (self._routes.add(OUT_OF_MEMORY_KEY, "/") if told else self._routes.remove(OUT_OF_MEMORY_KEY))


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    """Do work that nobody waits for; if it fails the app ends with it, and the supervisor starts it anew."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception:
        logger.exception("a background task failed")
        asyncio.get_running_loop().call_soon(_die)
        raise


def _die() -> None:
    raise SystemExit(1)
