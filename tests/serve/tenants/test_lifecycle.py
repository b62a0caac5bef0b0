"""Loads and unloads that fail at a chosen step leave nothing behind, or the next one removes it.

On a tritonserver of their own, without the app's HTTP in between.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from serve.front_door.live_map import NoMap
from serve.front_door.tenant_map import TenantMap
from serve.machine.resources import Resources
from serve.repository import Finding, RepositoryError, Runtime
from serve.tenants.admission import Admission, Meter
from serve.tenants.archives import Archives
from serve.tenants.condition import Condition
from serve.tenants.errors import NotLoadedError, OutOfResourcesError, TenantLoadError
from serve.tenants.exclusive import Exclusive
from serve.tenants.lifecycle import Tenants
from serve.tenants.loading import Loader
from serve.tenants.recovery import Recovery
from serve.tenants.registry import Registry
from serve.tenants.store import Store
from serve.tenants.unloading import Unloader
from serve.tenants.values import LoadedTenant, SharedModels
from serve.triton.client import TritonClient, open_session
from serve.triton.configurations import Configurations
from serve.triton.control import ControlError, TritonControl, open_control
from serve.triton.processes import ModelProcesses
from tests.serve.client import Response, send, text_request
from tests.serve.multi_model.archives import Gate, Model, ensemble, word, write_archive
from tests.serve.multi_model.endpoint import await_true
from tests.triton import RunningTritonServer, running_tritonserver

PIPELINE: dict[str, Model] = {"pipeline": ensemble("part"), "part": word("part")}
SOON = 1.0


class FailingStore(Store):
    """Fails after a chosen step, as long as a failure is set."""

    step = ""
    failure: BaseException | None = None

    def install(self, *arguments: object, **options: object) -> None:
        super().install(*arguments, **options)  # type: ignore[arg-type]
        self._fail("install")

    def record(self, tenant: LoadedTenant) -> None:
        super().record(tenant)
        self._fail("record")

    def _fail(self, step: str) -> None:
        if step == self.step and self.failure is not None:
            raise self.failure


@dataclass
class Place:
    """A tritonserver, and the directories that a container would have.

    Attributes:
        stuck: models that Triton is known never to unload.
    """

    server: RunningTritonServer
    directory: Path
    store: FailingStore
    stuck: frozenset[str] = frozenset()

    def archive(self, name: str, models: Model | dict[str, Model]) -> str:
        return str(write_archive(self.directory / "models" / name, models))

    def invoke(self, model: str) -> Response:
        port = int(self.server.http.rpartition(":")[2])
        return send(port, "POST", f"/v2/models/{model}/infer", text_request())

    @property
    def processes(self) -> ModelProcesses:
        return ModelProcesses(self.server.process.pid, Runtime())

    @asynccontextmanager
    async def tenants(self, broken_seconds: float = 10.0) -> AsyncIterator[Tenants]:
        async with open_control(self.server.grpc) as control, open_session(self.server.http) as session:
            condition = Condition(Configurations(TritonClient(session)), self.processes)
            tenants = self.put_together(control, condition, broken_seconds)
            shared = tenants.archives.shared
            parts = (tenants.store, tenants.registry, tenants.exclusive, tenants.loader, tenants.unloader)
            await Recovery(control, *parts, shared).recover()
            yield tenants
            assert self.left(await control.loaded()) == {}

    def put_together(self, control: TritonControl, condition: Condition, broken_seconds: float) -> Tenants:
        resources = Resources(self.directory)
        registry = Registry(TenantMap(NoMap()))
        return Tenants(
            archives=Archives(self.directory / "models", SharedModels(frozenset(), on_cpu=True)),
            admission=Admission(resources, shm_bytes=1024**2, runtime=Runtime()),
            meter=Meter(resources, self.processes),
            resources=resources,
            store=self.store,
            registry=registry,
            exclusive=Exclusive(),
            loader=Loader(control),
            unloader=Unloader(control, self.store, registry, self.processes, broken_seconds),
            condition=condition,
        )

    def left(self, loaded: set[str]) -> dict[str, set[str]]:
        places = {
            "directories": self.store.installed(),
            "records": {path.name for path in (self.directory / "records").iterdir()},
            "models in Triton": loaded - self.stuck,
            "processes": {each.name for each in self.processes.running()},
        }
        return {place: found for place, found in places.items() if found}

    def processes_of(self, model: str) -> list[psutil.Process]:
        return [each.process for each in self.processes.running() if each.model == model]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningTritonServer, Path]]:
    repository = tmp_path_factory.mktemp("repository")
    with running_tritonserver(repository, "--model-control-mode=explicit") as running:
        yield running, repository


@pytest.fixture
def place(server: tuple[RunningTritonServer, Path], tmp_path: Path) -> Place:
    running, repository = server
    (tmp_path / "records").mkdir()
    return Place(running, tmp_path, FailingStore(repository, tmp_path / "records"))


@pytest.fixture
def threads(gate: Gate) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool
        gate.open()  # else a test that failed would wait here


CHANGED = Finding("invalid-config", "error", "this is not a valid model configuration")
FAILURES = {
    "a configuration that changes": ("install", RepositoryError("the model", [CHANGED]), TenantLoadError),
    "no disk for links": ("install", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OutOfResourcesError),
    "no disk for the record": ("record", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OutOfResourcesError),
    "a mistake of ours": ("record", ZeroDivisionError("ours"), ZeroDivisionError),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_load_that_fails(place: Place, kind: str) -> None:
    """A failed load raises the right error, leaves nothing (see `Place.tenants`), and the next one works."""
    step, failure, raised = FAILURES[kind]

    async def scenario() -> None:
        url = place.archive("failing", PIPELINE)
        async with place.tenants() as tenants:
            place.store.step, place.store.failure = step, failure
            with pytest.raises(raised, match=str(failure).rpartition("] ")[2]):
                await tenants.load("failing", url)
        async with place.tenants() as tenants:
            assert tenants.names() == []
            place.store.failure = None
            await tenants.load("failing", url)
            assert place.invoke("failing").status == 200
            await tenants.unload("failing")

    asyncio.run(scenario())


def test_a_load_that_is_cancelled(place: Place, gate: Gate) -> None:

    async def scenario() -> None:
        models = {**PIPELINE, "part": word(load_gate=str(gate))}
        async with place.tenants(broken_seconds=SOON) as tenants:
            load = asyncio.create_task(tenants.load("cancelled", place.archive("cancelled", models)))
            await asyncio.to_thread(gate.await_started)
            load.cancel()
            with pytest.raises(asyncio.CancelledError):
                await load

    asyncio.run(scenario())


def test_the_time_of_a_load_is_that_of_all_its_models(place: Place, gate: Gate) -> None:
    """The second of three layers never ends: it gets the time that the first left, and the third gets none."""
    models = {
        "top": ensemble("slow"),
        "slow": word(load_gate=str(gate), sagemaker__depends_on="first"),
        "first": word("first"),
    }

    async def scenario() -> None:
        async with place.tenants(broken_seconds=SOON) as tenants:
            with pytest.raises(ControlError, match=r"late--slow is still not ready after [0-4] s"):
                await tenants.load("late", place.archive("late", models), seconds=4.0)
            assert tenants.names() == []

    asyncio.run(scenario())


@pytest.mark.parametrize("then", ["unload", "load"])
def test_an_unload_that_fails(place: Place, gate: Gate, threads: ThreadPoolExecutor, then: str) -> None:
    """After a failed unload the tenant is not loaded; the next unload or load of that name finishes it."""
    name = f"finished-by-{then}"
    models = {"pipeline": ensemble("a", "b"), "a": word("a"), "b": word("b", gate=str(gate))}

    async def scenario() -> None:
        async with place.tenants() as tenants:
            url = place.archive(name, models)
            await tenants.load(name, url)
            answer: Future[Response] = threads.submit(place.invoke, name)
            await asyncio.to_thread(gate.await_started)
            with pytest.raises(ControlError, match="still unloading"):
                await tenants.unload(name, seconds=SOON)
            assert (tenants.get(name), tenants.names()) == (None, [])
            gate.open()
            assert (await asyncio.wrap_future(answer)).status == 200
            if then == "load":
                await tenants.load(name, url)
                assert place.invoke(name).status == 200
            await tenants.unload(name)
            with pytest.raises(NotLoadedError):
                await tenants.unload(name)

    asyncio.run(scenario())


def test_a_process_that_dies_during_the_unload(place: Place, gate: Gate, threads: ThreadPoolExecutor) -> None:
    """Triton waits forever for the dead process; the unload doesn't."""
    place.stuck = frozenset({"dying", "dying--part"})

    async def scenario() -> None:
        models = {**PIPELINE, "part": word(gate=str(gate))}
        async with place.tenants(broken_seconds=SOON) as tenants:
            url = place.archive("dying", models)
            await tenants.load("dying", url)
            answer: Future[Response] = threads.submit(place.invoke, "dying")
            await asyncio.to_thread(gate.await_started)
            unload = asyncio.create_task(tenants.unload("dying"))
            await asyncio.to_thread(await_true, lambda: tenants.get("dying") is None, "the unload has begun")
            # Triton may have loaded the model twice, and have not yet ended the first one's process.
            await asyncio.to_thread(
                await_true, lambda: len(place.processes_of("dying--part")) == 1, "one process is left"
            )
            place.processes_of("dying--part")[0].kill()
            await asyncio.wait_for(unload, 60)
            assert (await asyncio.wrap_future(answer)).status != 200
            gate.open()
            await tenants.load("dying", url)
            assert tenants.names() == ["dying"]
            await tenants.unload("dying")

    asyncio.run(scenario())


def test_a_tenant_that_was_brought_back_is_another_load(place: Place) -> None:
    """An unload of a tenant that has lost a process waits for the recovery, after which the tenant is whole again."""

    async def check() -> None:
        async with place.tenants() as before:
            await before.load("word", place.archive("word", word("hello")))
            old = before.get("word")
            async with place.tenants() as after:
                with pytest.raises(NotLoadedError):
                    await after.unload("word", only=old)
                await after.unload("word")

    asyncio.run(check())
