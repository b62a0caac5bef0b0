"""`/ping` returns 503 if a shared model has lost a process, and only then."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from serve.app.background import Shutdown
from serve.app.multi_model import MultiModel, running_multi_model
from serve.app.options import MultiModelOptions
from serve.front_door.live_map import NoMap
from serve.front_door.memory_flag import MemoryFlag
from serve.front_door.tenant_map import TenantMap
from serve.repository import Runtime
from serve.tenants.condition import Condition
from serve.triton.client import TritonClient, open_session
from serve.triton.configurations import Configurations
from serve.triton.health import Health
from serve.triton.processes import Instance, ModelProcesses
from tests.serve.multi_model.archives import ensemble, write_archive
from tests.serve.multi_model.conftest import write_shared_models
from tests.serve.multi_model.endpoint import await_true
from tests.triton import RunningTritonServer, running_tritonserver

Scenario = Callable[[MultiModel], Awaitable[None]]


@dataclass(frozen=True)
class ControlledProcesses(ModelProcesses):
    """Reads the processes below tritonserver, in the way that a test says.

    Attributes:
        early: whether the first look, from now on, sees no process, as if it came too early.
        looks: one for each look since then; every later one waits until it is set.
    """

    early: threading.Event = field(default_factory=threading.Event)
    looks: list[threading.Event] = field(default_factory=list)

    def running(self) -> list[Instance]:
        if not self.early.is_set():
            return super().running()
        self.looks.append(threading.Event())
        if len(self.looks) == 1:
            return []
        self.looks[-1].wait(30)
        return super().running()

    def of(self, model: str) -> list[psutil.Process]:
        return [each.process for each in super().running() if each.model == model]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Scenario], None]:
    """Returns a function that runs a scenario with a tenant `user` that uses the shared model `probe`."""
    shared = write_shared_models(tmp_path / "shared")
    for name in ("tenants", "records"):
        (tmp_path / name).mkdir()
    arguments = ("--model-control-mode=explicit", f"--model-repository={shared}")

    def run(scenario: Scenario) -> None:
        async def with_tenant(server: RunningTritonServer) -> None:
            async with multi_model_on(server, tmp_path) as multi_model:
                url = write_archive(tmp_path / "models" / "user", {"pipeline": ensemble("probe")})
                await multi_model.tenants.load("user", str(url))
                await scenario(multi_model)
                await multi_model.tenants.unload("user")

        with running_tritonserver(tmp_path / "tenants", *arguments) as server:
            asyncio.run(with_tenant(server))

    return run


@asynccontextmanager
async def multi_model_on(server: RunningTritonServer, directory: Path) -> AsyncIterator[MultiModel]:
    options = MultiModelOptions(
        triton_grpc=server.grpc,
        models_dir=str(directory / "models"),
        tenant_repository=str(directory / "tenants"),
        records_dir=str(directory / "records"),
        tenant_map=str(directory / "tenants.map"),
        memory_map=str(directory / "memory.map"),
        shared_models=("probe",),
        shm_bytes=1024**2,
    )
    async with open_session(server.http) as session:
        triton = TritonClient(session)
        # Other tests' servers have processes of a model `probe` as well.
        condition = Condition(Configurations(triton), ControlledProcesses(server.process.pid, Runtime()))
        health = Health(triton, condition.configurations, condition.processes, (), "ready")
        shutdown = Shutdown()
        maps = TenantMap(NoMap()), MemoryFlag(NoMap())
        async with running_multi_model(options, *maps, condition, health, shutdown) as multi_model:
            await multi_model.tenants.recovered.wait()
            yield multi_model
        assert not shutdown.failed


def processes(multi_model: MultiModel) -> ControlledProcesses:
    found = multi_model.tenants.condition.processes
    assert isinstance(found, ControlledProcesses)
    return found


def test_a_process_that_has_died(run: Callable[[Scenario], None]) -> None:
    async def scenario(multi_model: MultiModel) -> None:
        assert await multi_model.reason_not_ready() is None
        # Triton may have loaded the model twice, and have not yet ended the first one's processes.
        await asyncio.to_thread(
            await_true, lambda: len(processes(multi_model).of("probe")) == 2, "the model's two processes are left"
        )
        processes(multi_model).of("probe")[0].kill()
        while (reason := await multi_model.reason_not_ready()) is None:  # noqa: ASYNC110 (it has no event)
            await asyncio.sleep(0.1)
        assert reason == "probe_0: a process of this shared model has died"

    run(scenario)


def test_a_look_that_came_too_early(run: Callable[[Scenario], None]) -> None:
    """Processes missed in one look are found in the next: no error in between."""

    async def scenario(multi_model: MultiModel) -> None:
        controlled = processes(multi_model)
        controlled.early.set()
        await asyncio.to_thread(await_true, lambda: len(controlled.looks) == 2, "there is a second look")
        assert await multi_model.reason_not_ready() is None
        controlled.early.clear()
        controlled.looks[-1].set()
        assert await multi_model.reason_not_ready() is None

    run(scenario)
