"""After the app, HAProxy or tritonserver is killed, the tenants are available again, or stay available."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.serve.client import Response
from tests.serve.multi_model.archives import Gate, Model, ensemble, word, write_archive
from tests.serve.multi_model.conftest import running_endpoint
from tests.serve.multi_model.endpoint import Endpoint, await_true

PIPELINE: dict[str, Model] = {"pipeline": ensemble("probe", "part"), "part": word("part")}
CALLER: dict[str, Model] = {
    "main": word("main", calls="part", sagemaker__depends_on="part"),
    "part": word("called"),
}
SHARED_ONLY: dict[str, Model] = {"pipeline": ensemble("probe")}
TENANTS = {"pipeline": PIPELINE, "caller": CALLER, "two words": SHARED_ONLY, "shared": SHARED_ONLY}
SAID = {"pipeline": "hello part", "caller": "hello called main", "two words": "hello", "shared": "hello"}


@pytest.fixture(scope="module")
def endpoint_restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An endpoint with four tenants."""
    with running_endpoint(tmp_path_factory.mktemp("restarts")) as endpoint:
        load_all(endpoint)
        yield endpoint


@pytest.fixture
def served(endpoint_restarted: Endpoint) -> Iterator[Endpoint]:
    """The endpoint with the same four tenants again at the end of each test, and nothing else."""
    endpoint = endpoint_restarted
    before = endpoint.left()
    yield endpoint
    endpoint.serve.await_ready()
    for name in set(endpoint.names()) - set(TENANTS):
        assert endpoint.unload(name).status == 200
    assert endpoint.left() == before


def test_the_app_is_killed(served: Endpoint) -> None:
    """Requests that HAProxy routes to Triton continue; the restarted app knows every tenant."""
    with invoking(served, "pipeline") as statuses:
        kill(served, "serve.app")
        await_true(lambda: sum(statuses.values()) > 20, "invocations go on")
        served.serve.await_ready()
        assert_all_there(served)
    assert set(statuses) == {200}


def test_haproxy_is_killed(served: Endpoint) -> None:
    kill(served, "haproxy")
    await_true(lambda: served.serve.ping() == 200, "HAProxy is back")
    assert_all_there(served)


def test_the_app_and_haproxy_are_killed(served: Endpoint) -> None:
    kill(served, "haproxy")
    kill(served, "serve.app")
    await_true(lambda: served.serve.ping() == 200, "both are back")
    assert_all_there(served)


def test_tritonserver_is_killed(served: Endpoint) -> None:
    """`/ping` isn't 200 before all tenants are restored, and nothing of the old ones is left."""
    old, old_memory = served.stubs(), served.shared_memory()
    assert old_memory
    with invoking(served, "pipeline") as statuses:
        kill(served, "bin/tritonserver")
        await_true(lambda: served.serve.ping() == 503, "/ping tells of it")
        assert served.call("GET", "/models").status in (200, 503)
        late = write_archive(served.models_dir / "late" / "model", SHARED_ONLY)
        with ThreadPoolExecutor(1) as threads:
            load = threads.submit(served.load, "late", late)
            served.serve.await_ready()
            assert_all_there(served)
            # It waited, or came before the app knew and was refused.
            assert (load.result().status, served.load("late", late).status) in {(200, 409), (503, 200)}
        before = statuses[200]
        await_true(lambda: statuses[200] > before, "invocations go on")
    # 404: the new tritonserver knew nobody yet. SageMaker then asks for a load, which waits for the tenants to be back.
    assert set(statuses) <= {200, 404, 502, 503}
    assert served.said("late") == "hello"
    assert not any(process.is_running() for process in old.values())
    assert old_memory.isdisjoint(served.shared_memory())


def test_tritonserver_is_killed_in_the_middle_of_a_load(served: Endpoint, gate: Gate) -> None:
    models = {"pipeline": ensemble("good", "slow"), "good": word(), "slow": word(load_gate=str(gate))}
    url = write_archive(served.models_dir / "half" / "model", models)
    with ThreadPoolExecutor(1) as threads:
        load = threads.submit(served.load, "half", url)
        gate.await_started()
        kill(served, "bin/tritonserver")
        await_true(lambda: served.serve.ping() == 503, "/ping tells of it")
        answer = load.result()
    assert answer.status == 503
    assert answer.error()
    served.serve.await_ready()
    assert_all_there(served)
    assert not any(model.startswith("half") for model in served.installed() | served.in_triton())
    gate.open()
    assert served.load("half", url).status == 200


def test_the_app_is_killed_in_the_middle_of_a_load(served: Endpoint, gate: Gate) -> None:
    models = {"pipeline": ensemble("good", "slow"), "good": word(), "slow": word(load_gate=str(gate))}
    url = write_archive(served.models_dir / "half" / "model", models)
    with ThreadPoolExecutor(1) as threads:
        load = threads.submit(served.load, "half", url)
        gate.await_started()
        kill(served, "serve.app")
        assert load.result().status in (502, 503)
        gate.open()
    served.serve.await_ready()
    assert_all_there(served)
    assert not any(model.startswith("half") for model in served.installed() | served.in_triton())
    assert served.load("half", url).status == 200


def test_the_app_is_killed_in_the_middle_of_an_unload(served: Endpoint, gate: Gate) -> None:
    """The caller got no response, so the tenant is either loaded or completely gone."""
    url = write_archive(served.models_dir / "half" / "model", {"pipeline": ensemble("a"), "a": word(gate=str(gate))})
    assert served.load("half", url).status == 200
    with ThreadPoolExecutor(2) as threads:
        invocation = threads.submit(served.said, "half")
        gate.await_started()
        unload = threads.submit(served.unload, "half")
        await_true(lambda: served.get("half").status == 404, "the unload has begun")
        kill(served, "serve.app")
        assert unload.result().status in (502, 503)
        gate.open()
        assert invocation.result() == "hello"
    served.serve.await_ready()
    assert_all_there(served)
    assert served.get("half").status == 200
    assert served.said("half") == "hello"


def test_a_tenant_that_can_not_be_brought_back(served: Endpoint) -> None:
    """A tenant that can't be restored is unloaded; the others are restored."""
    url = write_archive(
        served.models_dir / "lost" / "model", {"pipeline": ensemble("good", "bad"), "good": word(), "bad": word()}
    )
    assert served.load("lost", url).status == 200
    (url / "bad" / "1" / "model.py").write_text("raise ValueError('lost')")
    kill(served, "bin/tritonserver")
    await_true(lambda: served.serve.ping() == 503, "/ping tells of it")
    served.serve.await_ready()
    assert_all_there(served)
    for answer in (served.get("lost"), served.unload("lost"), served.invoke("lost")):
        assert answer.status == 404
    assert not any(model.startswith("lost") for model in served.installed() | served.in_triton())


def test_without_haproxy(tmp_path: Path) -> None:
    with running_endpoint(tmp_path, haproxy=False) as endpoint:
        load_all(endpoint)
        for child in ("serve.app", "bin/tritonserver"):
            kill(endpoint, child)
            await_true(lambda: endpoint.serve.ping() != 200, "/ping tells of it")
            endpoint.serve.await_ready()
            assert {name: endpoint.said(name) for name in SAID} == SAID


def load_all(endpoint: Endpoint) -> None:
    for name, models in TENANTS.items():
        assert endpoint.load(name, write_archive(endpoint.models_dir / name / "model", models)).status == 200


def kill(endpoint: Endpoint, word_of_it: str) -> None:
    process = endpoint.child(word_of_it)
    process.send_signal(signal.SIGKILL)
    await_true(lambda: has_ended(process), "it is killed")


def has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # reaped between the two questions
        return True


def assert_all_there(endpoint: Endpoint) -> None:
    """Assert that tenants are listed and respond; those in HAProxy's map also without the app."""
    assert {name: endpoint.said(name) for name in SAID} == SAID
    assert set(SAID) <= set(endpoint.names())
    with stopped(endpoint.child("serve.app")):
        assert endpoint.said("pipeline") == "hello part"
        assert endpoint.said("shared") == "hello"


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@contextmanager
def invoking(endpoint: Endpoint, name: str) -> Iterator[Counter[int]]:
    """Invoke a tenant over and over; count the statuses."""
    statuses: Counter[int] = Counter()
    end = threading.Event()

    def invoke() -> None:
        while not end.is_set():
            answer: Response = endpoint.invoke(name)
            statuses[answer.status] += 1

    with ThreadPoolExecutor(1) as threads:
        caller = threads.submit(invoke)
        try:
            yield statuses
        finally:
            end.set()
        caller.result()
