"""A Python model's process that dies: the tenant is unloaded, since loading it again is what mends it."""

from __future__ import annotations

from tests.serve.multi_model.archives import ensemble, word
from tests.serve.multi_model.conftest import WriteArchive
from tests.serve.multi_model.endpoint import Endpoint, await_true


def test_a_killed_process(endpoint: Endpoint, archive: WriteArchive) -> None:
    """Not for lack of memory: that is no 507. Its neighbours do not notice."""
    models = {"pipeline": ensemble("whole", "broken-off"), "whole": word("one"), "broken-off": word("two")}
    url = archive("lame", models)
    assert endpoint.load("lame", url).status == 200
    assert endpoint.load("well", archive("well", models)).status == 200
    endpoint.stubs()["lame--broken-off_0_0"].kill()
    answer = endpoint.invoke("lame")
    assert answer.status in (404, 500)
    assert answer.error()
    await_true(lambda: endpoint.invoke("lame").status == 404, "the tenant is unloaded")
    await_true(
        lambda: set(endpoint.installed()) == {"well", "well--whole", "well--broken-off"}, "nothing of it is left"
    )
    assert endpoint.names() == ["well"]
    assert endpoint.said("well") == "hello one two"
    assert endpoint.serve.ping() == 200
    assert endpoint.load("lame", url).status == 200
    assert endpoint.said("lame") == "hello one two"


def test_one_of_several_processes(gateway: Endpoint, archive: WriteArchive) -> None:
    """Two archives name their instance groups alike; only the one that lost a process goes."""
    group = 'instance_group [{ name: "workers" count: 2 }]'
    for name in ("lame", "well"):
        assert gateway.load(name, archive(name, word(name, more=group))).status == 200
    gateway.stubs()["lame_0_1"].kill()
    await_true(lambda: gateway.get("lame").status == 404, "the tenant is unloaded")
    assert gateway.said("well") == "hello well"


def test_a_process_that_ends_by_itself(gateway: Endpoint, archive: WriteArchive) -> None:
    url = archive("ends", {"pipeline": ensemble("ending"), "ending": word(raises_on_execute="SystemExit: 3")})
    assert gateway.load("ends", url).status == 200
    assert gateway.invoke("ends").status == 500
