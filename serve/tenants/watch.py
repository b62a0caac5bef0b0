"""What a multi-model endpoint has besides routes: its tenants, brought back at the start, then watched."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Collection, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any

from serve.app.options import MultiModelOptions
from serve.front_door.tenant_map import OUT_OF_MEMORY_KEY, Routes
from serve.machine.resources import Resources
from serve.repository import ModelConfig, Runtime
from serve.tenants.admission import Admission
from serve.tenants.lifecycle import NotLoadedError, Shared, Tenants
from serve.tenants.store import LoadedTenant, Store
from serve.triton.client import TritonClient, UnreachableError
from serve.triton.control import ControlError, TritonControl
from serve.triton.health import Health
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
        runtime: what decides how many processes a model runs in.
    """

    def __init__(self, options: MultiModelOptions, triton: TritonClient, health: Health, runtime: Runtime) -> None:
        """Prepare; nothing runs yet."""
        self._triton = triton
        self._health = health
        self._runtime = runtime
        self._control = TritonControl(options.triton_grpc)
        self._resources = Resources(Path(options.tenant_repository).parent)
        self._routes = Routes(Path(options.table), Path(options.admin_socket) if options.admin_socket else None)
        self.tenants = Tenants(
            self._control,
            Store(Path(options.tenant_repository), Path(options.records_dir)),
            self._routes,
            self._resources,
            Admission(self._resources, options.shm_bytes, runtime),
            Path(options.models_dir),
            Shared(frozenset(options.shared_models), on_cpu=runtime.gpus == 0),
            self._is_broken,
        )
        self._configurations: dict[tuple[str, float], ModelConfig] = {}
        self._dead_shared: tuple[str, ...] = ()
        self._given_up: set[LoadedTenant] = set()
        self._killed_at = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> MultiModel:
        """Begin to bring back the tenants, and to watch."""
        for work in (self._recover(), self._watch_processes(), self._watch_kills()):
            self._start(work)
        # The supervisor's word that tritonserver was started anew.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: self._start(self._recover()))
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
        task = asyncio.create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _recover(self) -> None:
        await self.tenants.recover()
        self._dead_shared = ()  # that was another tritonserver

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
        while True:
            await asyncio.sleep(DEAD_POLL_SECONDS)
            await self.tenants.recovered.wait()
            try:
                await self._look_at_processes()
            except UnknownCommandLineError as error:
                return logger.warning("processes that die will not be noticed: %s", error)

    async def _look_at_processes(self) -> None:
        # Who is asked for comes first, which may take long, and the look at the processes last: whoever is loaded
        # before the look has all of its processes by then.
        tenants = list(filter(None, map(self.tenants.get, self.tenants.names())))
        expected = {tenant: await self._configurations_of(tenant.models, tenant.loaded_at) for tenant in tenants}
        shared = await self._configurations_of(self.tenants.loaded_shared, 0)
        running = await asyncio.to_thread(running_instances)
        for tenant, configurations in expected.items():
            if (dead := dead_groups(configurations, running, self._runtime)) and tenant not in self._given_up:
                self._given_up.add(tenant)
                self._start(self._give_up(tenant, dead))  # which nobody else waits for
        self._dead_shared = await self._dead_shared_groups() if dead_groups(shared, running, self._runtime) else ()
        current = {tenant.loaded_at for tenant in tenants} | {0}
        self._configurations = {key: value for key, value in self._configurations.items() if key[1] in current}

    async def _dead_shared_groups(self) -> tuple[str, ...]:
        """Look once more: tritonserver may have ended between the question and the look, and be back."""
        shared = await self._configurations_of(self.tenants.loaded_shared, 0)
        running = await asyncio.to_thread(running_instances)
        return dead_groups(shared, running, self._runtime) if self.tenants.recovered.is_set() else ()

    async def _configurations_of(self, models: Collection[str], loaded_at: float) -> list[ModelConfig]:
        """Return the configurations that models were loaded with; the same name may be loaded anew with another."""
        found = []
        for key in ((model, loaded_at) for model in models):
            if key not in self._configurations:
                try:
                    self._configurations[key] = await self._triton.configuration(key[0], ANSWER_SECONDS)
                except UnreachableError:  # tritonserver is gone, or the model has been unloaded meanwhile
                    return []
            found.append(self._configurations[key])
        return found

    async def _is_broken(self, tenant: LoadedTenant) -> bool:
        configurations = await self._configurations_of(tenant.models, tenant.loaded_at)
        try:
            return bool(dead_groups(configurations, await asyncio.to_thread(running_instances), self._runtime))
        except UnknownCommandLineError:
            return False

    async def _give_up(self, tenant: LoadedTenant, dead: tuple[str, ...]) -> None:
        try:
            # The first look may have come while the tenant was being unloaded.
            if self.tenants.get(tenant.name) is tenant and await self._is_broken(tenant):
                logger.error("%s has lost a process (%s): unloading it", tenant.name, ", ".join(dead))
                await self.tenants.unload(tenant.name, only=tenant)
        except (NotLoadedError, ControlError) as error:
            logger.warning("unloading %s: %s", tenant.name, error)
        finally:
            self._given_up.discard(tenant)

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


def _die() -> None:
    raise SystemExit(1)
