"""The order of events: sequential for one tenant, concurrent for different tenants."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.serve.client import Response
from tests.serve.multi_model.archives import Gate, ensemble, word
from tests.serve.multi_model.conftest import WriteArchive
from tests.serve.multi_model.endpoint import Endpoint, await_true


@pytest.fixture
def threads(gate: Gate) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool
        gate.open()  # else a test that failed would wait here


def test_two_loads_at_once(endpoint: Endpoint, archive: WriteArchive, gate: Gate, threads: ThreadPoolExecutor) -> None:
    url = archive("twice", word("once", load_gate=str(gate)))
    loads = [threads.submit(endpoint.load, "twice", url) for _ in range(4)]
    gate.await_started()
    assert not any(load.done() for load in loads)
    gate.open()
    assert sorted(load.result().status for load in loads) == [200, 409, 409, 409]
    assert endpoint.said("twice") == "hello once"


def test_while_a_load_is_under_way(
    endpoint: Endpoint, archive: WriteArchive, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    """During a load the tenant doesn't exist yet, and other tenants don't wait."""
    assert endpoint.load("quick", archive("quick", {"pipeline": ensemble("probe")})).status == 200
    load = threads.submit(endpoint.load, "slow", archive("slow", word("slow", load_gate=str(gate))))
    gate.await_started()
    assert endpoint.get("slow").status == 404
    assert endpoint.invoke("slow").status == 404
    assert endpoint.names() == ["quick"]
    assert endpoint.said("quick") == "hello"
    assert endpoint.load("other", archive("other", word("other"))).status == 200
    assert endpoint.said("other") == "hello other"
    assert endpoint.unload("other").status == 200
    unload = threads.submit(endpoint.unload, "slow")
    assert not load.done()
    gate.open()
    assert load.result().status == 200
    assert unload.result().status == 200
    assert endpoint.get("slow").status == 404


def test_unload_lets_requests_finish(
    endpoint: Endpoint, archive: WriteArchive, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    """An unload waits for requests in flight, also in the middle of an ensemble."""
    models = {
        "pipeline": ensemble("first", "probe", "last"),
        "first": word("first", more="instance_group [{ count: 3 }]", gate=str(gate)),
        "last": word("last"),
    }
    url = archive("busy", models)
    assert endpoint.load("busy", url).status == 200
    invocations = [threads.submit(endpoint.said, "busy", str(number)) for number in range(3)]
    gate.await_started(len(invocations))
    unload = threads.submit(endpoint.unload, "busy")
    await_true(lambda: endpoint.get("busy").status == 404, "the unload has begun")
    assert endpoint.invoke("busy").status == 404
    assert endpoint.names() == []
    load = threads.submit(endpoint.load, "busy", url)
    assert_waits(endpoint, unload, load, *invocations)
    gate.open()
    assert [invocation.result() for invocation in invocations] == [f"{number} first last" for number in range(3)]
    assert unload.result().status == 200
    assert load.result().status == 200
    assert endpoint.said("busy") == "hello first last"


def test_when_an_unload_answers_everything_is_gone(
    endpoint: Endpoint, archive: WriteArchive, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    models = {"pipeline": ensemble("first", "last"), "first": word("first", gate=str(gate)), "last": word("last")}
    assert endpoint.load("busy", archive("busy", models)).status == 200
    processes = [process for name, process in endpoint.stubs().items() if name.startswith("busy--")]
    assert len(processes) == 2
    invocation = threads.submit(endpoint.said, "busy")
    gate.await_started()
    unload = threads.submit(endpoint.unload, "busy")
    await_true(lambda: endpoint.get("busy").status == 404, "the unload has begun")
    gate.open()
    assert unload.result().status == 200
    assert not any(process.is_running() for process in processes)
    assert endpoint.left() == {}
    assert invocation.result() == "hello first last"


def test_two_unloads_at_once(
    endpoint: Endpoint, archive: WriteArchive, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    assert endpoint.load("gone", archive("gone", word("gone", gate=str(gate)))).status == 200
    invocation = threads.submit(endpoint.said, "gone")
    gate.await_started()
    unloads = [threads.submit(endpoint.unload, "gone") for _ in range(3)]
    await_true(lambda: endpoint.get("gone").status == 404, "an unload has begun")
    assert_waits(endpoint, *unloads)
    gate.open()
    assert sorted(unload.result().status for unload in unloads) == [200, 404, 404]
    assert invocation.result() == "hello gone"


def test_a_tenant_that_unloads_holds_nobody_up(
    endpoint: Endpoint, archive: WriteArchive, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    assert endpoint.load("slow", archive("slow", word("slow", gate=str(gate)))).status == 200
    invocation = threads.submit(endpoint.said, "slow")
    gate.await_started()
    unload = threads.submit(endpoint.unload, "slow")
    await_true(lambda: endpoint.get("slow").status == 404, "the unload has begun")
    assert endpoint.load("quick", archive("quick", {"pipeline": ensemble("probe")})).status == 200
    assert endpoint.said("quick") == "hello"
    assert endpoint.unload("quick").status == 200
    assert endpoint.serve.ping() == 200
    assert not unload.done()
    gate.open()
    assert unload.result().status == 200
    assert invocation.result() == "hello slow"


def test_a_caller_that_leaves_in_the_middle_of_its_load(endpoint: Endpoint, archive: WriteArchive, gate: Gate) -> None:
    """The load continues: when SageMaker retries after its timeout, it gets 409, or 200 from `GET`."""
    url = archive("left", word("left", load_gate=str(gate)))
    body = json.dumps({"model_name": "left", "url": str(url)}).encode()
    with closing(socket.create_connection(("127.0.0.1", endpoint.serve.port))) as caller:
        head = f"POST /models HTTP/1.1\r\nHost: model\r\nContent-Length: {len(body)}\r\n\r\n"
        caller.sendall(head.encode() + body)
        gate.await_started()
    gate.open()
    await_true(lambda: endpoint.get("left").status == 200, "the tenant is loaded")
    assert endpoint.load("left", url).status == 409
    assert endpoint.said("left") == "hello left"


def test_a_caller_that_leaves_in_the_middle_of_its_unload(
    endpoint: Endpoint, archive: WriteArchive, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    assert endpoint.load("left", archive("left", word("left", gate=str(gate)))).status == 200
    invocation = threads.submit(endpoint.said, "left")
    gate.await_started()
    with closing(socket.create_connection(("127.0.0.1", endpoint.serve.port))) as caller:
        caller.sendall(b"DELETE /models/left HTTP/1.1\r\nHost: model\r\n\r\n")
        await_true(lambda: endpoint.get("left").status == 404, "the unload has begun")
    gate.open()
    assert invocation.result() == "hello left"
    await_true(lambda: endpoint.left() == {}, "the unload has ended")


def test_many_tenants_load_at_once(gateway: Endpoint, archive: WriteArchive, threads: ThreadPoolExecutor) -> None:
    models = {"pipeline": ensemble("probe", "part"), "part": word("part")}
    names = [f"tenant-{number}" for number in range(6)]
    urls = [archive(name, models) for name in names]
    assert {answer.status for answer in threads.map(gateway.load, names, urls)} == {200}
    assert set(threads.map(gateway.said, names)) == {"hello part"}
    assert {answer.status for answer in threads.map(gateway.unload, names)} == {200}


def assert_waits(endpoint: Endpoint, *calls: Future[Response] | Future[str]) -> None:
    """Assert that calls are still waiting although later ones have been answered."""
    for _ in range(10):
        assert endpoint.serve.ping() == 200
    assert not any(call.done() for call in calls)
