"""A shared model that has lost a process makes `/ping` answer 503, and nothing that only looks like it does."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from serve.app.options import MultiModelOptions
from serve.repository import Runtime
from serve.tenants import watch as module
from serve.tenants.watch import MultiModel
from serve.triton.client import TritonClient, open_session
from serve.triton.health import Health
from serve.triton.processes import Instance, running_instances
from tests.serve.multi_model.archives import ensemble, write_archive
from tests.serve.multi_model.conftest import write_shared_models
from tests.serve.multi_model.endpoint import await_true
from tests.triton import RunningTritonServer, running_tritonserver

Scenario = Callable[[MultiModel], Awaitable[None]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Scenario], None]:
    """Returns a function that runs a scenario with a tenant `user` that uses the shared model `probe`."""
    shared = write_shared_models(tmp_path / "shared")
    (tmp_path / "tenants").mkdir()
    arguments = ("--model-control-mode=explicit", f"--model-repository={shared}")

    def run(scenario: Scenario) -> None:
        async def with_tenant(server: RunningTritonServer) -> None:
            async with running_multi_model(server, tmp_path) as multi_model:
                url = write_archive(tmp_path / "models" / "user", {"pipeline": ensemble("probe")})
                await multi_model.tenants.load("user", str(url))
                await scenario(multi_model)
                await multi_model.tenants.unload("user")

        with running_tritonserver(tmp_path / "tenants", *arguments) as server, pytest.MonkeyPatch.context() as patch:
            # In the supervisor's place: other tests' servers have processes of a model `probe` as well.
            patch.setattr(os, "getppid", lambda: server.process.pid)
            asyncio.run(with_tenant(server))

    return run


@asynccontextmanager
async def running_multi_model(server: RunningTritonServer, directory: Path) -> AsyncIterator[MultiModel]:
    options = MultiModelOptions(
        triton_grpc=server.grpc,
        models_dir=str(directory / "models"),
        tenant_repository=str(directory / "tenants"),
        records_dir=str(directory / "records"),
        table=str(directory / "table"),
        admin_socket=None,
        shared_models=("probe",),
        shm_bytes=1024**2,
    )
    async with open_session(server.http) as session:
        triton = TritonClient(session)
        async with MultiModel(options, triton, Health(triton, (), "ready", Runtime()), Runtime()) as multi_model:
            await multi_model.tenants.recovered.wait()
            yield multi_model


def processes() -> list[psutil.Process]:
    return [each.process for each in running_instances() if each.model == "probe"]


def test_a_process_that_has_died(run: Callable[[Scenario], None]) -> None:
    async def scenario(multi_model: MultiModel) -> None:
        assert await multi_model.reason_not_ready() is None
        # Triton may have loaded the model twice, and have not yet ended the first one's processes.
        await asyncio.to_thread(await_true, lambda: len(processes()) == 2, "the model's two processes are left")
        processes()[0].kill()
        while (reason := await multi_model.reason_not_ready()) is None:  # noqa: ASYNC110 (it has no event)
            await asyncio.sleep(0.1)
        assert reason == "probe_0: a process of this shared model has died"

    run(scenario)


def test_a_look_that_came_too_early(run: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that it did not see are there at the next look: nothing is said in between."""
    looks: list[threading.Event] = []

    def looked_too_early() -> list[Instance]:
        looks.append(threading.Event())
        if len(looks) == 1:
            return []
        looks[-1].wait(30)
        return running_instances()

    async def scenario(multi_model: MultiModel) -> None:
        monkeypatch.setattr(module, "running_instances", looked_too_early)
        await asyncio.to_thread(await_true, lambda: len(looks) == 2, "there is a second look")
        assert await multi_model.reason_not_ready() is None
        monkeypatch.undo()
        looks[-1].set()
        assert await multi_model.reason_not_ready() is None

    run(scenario)
