"""Puts the parts of a multi-model endpoint together, and keeps them running beside the requests."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from serve.app.background import Background, Shutdown
from serve.app.options import MultiModelOptions
from serve.front_door.memory_flag import MemoryFlag
from serve.front_door.tenant_map import TenantMap
from serve.machine.resources import Resources
from serve.tenants.admission import Admission, Meter
from serve.tenants.archives import Archives
from serve.tenants.condition import Condition
from serve.tenants.exclusive import Exclusive
from serve.tenants.lifecycle import Tenants
from serve.tenants.loading import Loader
from serve.tenants.recovery import Recovery
from serve.tenants.registry import Registry
from serve.tenants.store import Store
from serve.tenants.unloading import Unloader
from serve.tenants.values import SharedModels
from serve.tenants.watch import KillWatch, ProcessWatch
from serve.triton.control import TritonControl, open_control
from serve.triton.health import Health

__all__ = ["MultiModel", "running_multi_model"]


@dataclass(frozen=True)
class MultiModel:
    """A multi-model endpoint.

    Attributes:
        tenants: the tenants.
        recovery: brings them back after a restart.
        process_watch: watches over the processes of models.
        kill_watch: watches for kills for lack of memory.
        health: whether tritonserver itself is ready.
    """

    tenants: Tenants
    recovery: Recovery
    process_watch: ProcessWatch
    kill_watch: KillWatch
    health: Health

    async def recover(self) -> None:
        """Bring back the tenants after the app, or tritonserver, was restarted."""
        await self.recovery.recover()
        self.process_watch.restart()

    async def reason_not_ready(self) -> str | None:
        """Return None when tenants can be loaded and invoked, else why not."""
        if (reason := await self.health.reason_not_ready()) is not None:
            return reason
        if not self.tenants.recovered.is_set():
            return "the models are being loaded again"
        if dead := self.process_watch.dead_shared:
            return f"{', '.join(dead)}: a process of this shared model has died"
        return None


@asynccontextmanager
async def running_multi_model(
    options: MultiModelOptions,
    tenant_map: TenantMap,
    memory_flag: MemoryFlag,
    condition: Condition,
    health: Health,
    shutdown: Shutdown,
) -> AsyncIterator[MultiModel]:
    """Recover the tenants and watch over them in the background, and recover them again whenever SIGHUP comes.

    Args:
        options: the app's options for a multi-model endpoint.
        tenant_map: which tenants HAProxy hands to Triton by itself.
        memory_flag: tells HAProxy that the kernel has just killed a process.
        condition: compares models with their processes.
        health: whether tritonserver itself is ready.
        shutdown: ends the app when something in the background fails.
    """
    async with open_control(options.triton_grpc) as control, Background(shutdown) as background:
        multi_model = _put_together(options, tenant_map, memory_flag, control, condition, health, background)
        for work in (multi_model.recover(), multi_model.process_watch.run(), multi_model.kill_watch.run()):
            background.start(work)
        # The supervisor sends SIGHUP when it has restarted tritonserver.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: background.start(multi_model.recover()))
        yield multi_model


def _put_together(
    options: MultiModelOptions,
    tenant_map: TenantMap,
    memory_flag: MemoryFlag,
    control: TritonControl,
    condition: Condition,
    health: Health,
    background: Background,
) -> MultiModel:
    shared = SharedModels(frozenset(options.shared_models), on_cpu=condition.processes.runtime.gpus == 0)
    resources = Resources(Path(options.tenant_repository).parent)
    store = Store(Path(options.tenant_repository), Path(options.records_dir))
    registry, exclusive, loader = Registry(tenant_map), Exclusive(), Loader(control)
    unloader = Unloader(control, store, registry, condition.processes)
    tenants = Tenants(
        archives=Archives(Path(options.models_dir), shared),
        admission=Admission(resources, options.shm_bytes, condition.processes.runtime),
        meter=Meter(resources, condition.processes),
        resources=resources,
        store=store,
        registry=registry,
        exclusive=exclusive,
        loader=loader,
        unloader=unloader,
        condition=condition,
    )

    async def tell(killed: bool) -> None:
        await (memory_flag.set() if killed else memory_flag.clear())

    return MultiModel(
        tenants,
        Recovery(control, store, registry, exclusive, loader, unloader, shared),
        ProcessWatch(tenants, condition, background.start),
        KillWatch(resources, tell),
        health,
    )
