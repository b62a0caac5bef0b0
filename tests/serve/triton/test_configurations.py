"""The cache of configurations, on a tritonserver whose models come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from serve.triton.client import TritonClient, UnreachableError, open_session
from serve.triton.configurations import Configurations
from serve.triton.control import open_control
from tests.serve.multi_model.archives import ensemble, word, write_archive
from tests.triton import RunningTritonServer, running_tritonserver

SECONDS = 30.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTritonServer]:
    leaves = {name: word(name, sagemaker__tenant_prefix="") for name in ("a", "b")}  # as if `serve` had written it
    models = {"outer": ensemble("inner", "b"), "inner": ensemble("a"), **leaves}
    repository = write_archive(tmp_path_factory.mktemp("configurations") / "repository", models)
    with running_tritonserver(repository, "--model-control-mode=explicit") as running:
        yield running


def test_each_load_is_asked_about_once(server: RunningTritonServer) -> None:
    """1. Loaded: Triton answers. 2. Unloaded: the cache does, for that load only. 3. Another load is forgotten."""

    async def scenario() -> None:
        async with open_session(server.http) as session, open_control(server.grpc) as control:
            configurations = Configurations(TritonClient(session))
            await control.load("a", SECONDS)
            [at_start] = await configurations.of(["a"], SECONDS)
            [later] = await configurations.of(["a"], SECONDS, loaded_at=1.0)
            assert (at_start.name, at_start.backend, later) == ("a", "python", at_start)

            await control.unload(["a"], SECONDS)
            assert await configurations.of(["a"], SECONDS, loaded_at=1.0) == [later]
            with pytest.raises(UnreachableError):
                await configurations.of(["a"], SECONDS, loaded_at=2.0)

            configurations.keep([2.0])
            assert await configurations.of(["a"], SECONDS) == [at_start]
            with pytest.raises(UnreachableError):
                await configurations.of(["a"], SECONDS, loaded_at=1.0)

    asyncio.run(scenario())


def test_the_members_of_an_ensemble(server: RunningTritonServer) -> None:
    async def scenario() -> tuple[str, ...]:
        async with open_session(server.http) as session, open_control(server.grpc) as control:
            await control.load("outer", SECONDS)
            return await Configurations(TritonClient(session)).with_members(["outer"], SECONDS)

    assert sorted(asyncio.run(scenario())) == ["a", "b", "inner", "outer"]
