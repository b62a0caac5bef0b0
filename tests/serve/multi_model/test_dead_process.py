"""If a Python model's process dies, the tenant is unloaded, so that SageMaker loads it again.

Triton keeps the names of models that have failed a request so, hence an endpoint of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serve.multi_model.archives import ensemble, word, write_archive
from tests.serve.multi_model.conftest import running_endpoint
from tests.serve.multi_model.endpoint import Endpoint, await_true


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running_endpoint(tmp_path_factory.mktemp("dead")) as running:
        yield running


@pytest.mark.parametrize("attempt", ["first", "again"])
def test_a_killed_process(endpoint: Endpoint, attempt: str) -> None:
    """A crash is not a 507. Other tenants are not affected, also when it happens again."""
    models = {"pipeline": ensemble("whole", "broken-off"), "whole": word("one"), "broken-off": word("two")}
    url = write_archive(endpoint.models_dir / "lame" / "model", models)
    assert endpoint.load("lame", url).status == 200
    assert endpoint.load("well", write_archive(endpoint.models_dir / "well" / "model", models)).status == 200
    [broken] = [process for name, process in endpoint.stubs().items() if name.startswith("lame") and "broken" in name]
    broken.kill()
    answer = endpoint.invoke("lame")
    assert answer.status in (404, 500)
    assert answer.error()
    await_true(lambda: endpoint.invoke("lame").status == 404, "the tenant is not invoked any more")
    await_true(lambda: set(endpoint.installed()) == {"well", "well--whole", "well--broken-off"}, "it is removed")
    assert not any(name.startswith("lame") for name in endpoint.stubs())
    assert endpoint.names() == ["well"]
    assert endpoint.said("well") == "hello one two"
    assert endpoint.serve.ping() == 200
    assert endpoint.load("lame", url).status == 200
    assert endpoint.said("lame") == "hello one two"
    assert [endpoint.unload(name).status for name in ("lame", "well")] == [200, 200]
    assert not endpoint.installed()
    assert not endpoint.records()


def test_an_unload_before_anyone_has_noticed(endpoint: Endpoint) -> None:
    url = write_archive(endpoint.models_dir / "gone" / "model", word("gone"))
    assert endpoint.load("gone", url).status == 200
    endpoint.stubs()["gone_0"].kill()
    assert endpoint.unload("gone").status in (200, 404)
    assert endpoint.load("gone", url).status == 200
    assert endpoint.said("gone") == "hello gone"
    assert endpoint.unload("gone").status == 200


def test_a_neighbour_whose_process_has_the_same_name(endpoint: Endpoint) -> None:
    """Triton names both processes `alike_0_0`: it numbers instance groups, or instances without a group."""
    url = write_archive(endpoint.models_dir / "alike" / "model", word("one", more="instance_group [{ count: 1 }]"))
    assert endpoint.load("alike", url).status == 200
    [process] = [process for name, process in endpoint.stubs().items() if name == "alike_0_0"]
    other = write_archive(endpoint.models_dir / "alike_0" / "model", word("other"))
    assert endpoint.load("alike_0", other).status == 200
    process.kill()
    assert endpoint.invoke("alike").status in (404, 500)  # 500: from now on Triton does not unload it
    await_true(lambda: endpoint.installed() == {"alike_0"}, "the tenant is unloaded")
    assert endpoint.get("alike").status == 404
    assert endpoint.said("alike_0") == "hello other"
    assert endpoint.unload("alike_0").status == 200
    assert not endpoint.installed()


def test_one_that_takes_long_to_unload_holds_up_no_other(endpoint: Endpoint) -> None:
    """Triton never finishes unloading either model; each gets ten seconds."""
    models = {"pipeline": ensemble("a"), "a": word("a", calls="b", sagemaker__depends_on="b"), "b": word("b")}
    for name in ("long", "short"):
        url = write_archive(endpoint.models_dir / name / "model", models)
        assert endpoint.load(name, url).status == 200
    for name, process in endpoint.stubs().items():
        if name.startswith("long--"):
            process.kill()
    assert endpoint.invoke("long").status in (404, 500)
    await_true(lambda: endpoint.get("long").status == 404, "the first one is being unloaded")
    for name, process in endpoint.stubs().items():
        if name.startswith("short--"):
            process.kill()
    await_true(lambda: endpoint.get("short").status == 404, "the second one is being unloaded")
    assert "long--a" in endpoint.installed()
    await_true(lambda: not endpoint.installed(), "both are removed")


def test_one_of_several_processes(endpoint: Endpoint) -> None:
    """Two archives have instance groups of the same name; only the tenant that lost a process is unloaded."""
    group = 'instance_group [{ name: "workers" count: 2 }]'
    for name in ("several", "well"):
        url = write_archive(endpoint.models_dir / name / "model", word(name, more=group))
        assert endpoint.load(name, url).status == 200
    endpoint.stubs()["several_0_1"].kill()
    await_true(lambda: "several" not in endpoint.installed(), "the tenant is unloaded")
    assert endpoint.get("several").status == 404
    assert {name for name in endpoint.stubs() if not name.startswith("probe")} == {"well_0_0", "well_0_1"}
    assert endpoint.said("well") == "hello well"
    assert endpoint.unload("well").status == 200
