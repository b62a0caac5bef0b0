"""The tenant map stays the same in HAProxy's memory and in the file."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from serve.front_door import FrontDoor, admin
from serve.front_door.admin import AdminSession
from serve.front_door.tenant_map import OUT_OF_MEMORY_KEY, Routes
from tests.serve.front_door.conftest import Run

Table = dict[str, str]

SECONDS = 20


def routes_of(made: FrontDoor) -> Routes:
    return Routes(made.tenant_table, made.admin_socket)


async def in_memory(made: FrontDoor) -> Table:
    """Return HAProxy's copy: each line of its answer has an address, a key and a value."""
    async with AdminSession(made.admin_socket) as session:
        lines = (await session.command(f"show map {made.tenant_table}")).splitlines()
    return {fields[1]: fields[2] for line in lines if len(fields := line.split()) == 3}


def in_file(made: FrontDoor) -> Table:
    return dict(line.split() for line in made.tenant_table.read_text().splitlines())


async def await_both(made: FrontDoor, expected: Table) -> None:
    async def settle() -> None:
        while not (in_file(made) == expected == await in_memory(made)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    await asyncio.wait_for(settle(), SECONDS)


def test_changes_reach_both(run: Run) -> None:
    made = run(model=None)

    async def change() -> None:
        routes = routes_of(made)
        await routes.add("a", "entry-a")
        await routes.add("b", "entry-b")
        await routes.add("not safe", "entry-c")
        assert in_file(made) == await in_memory(made) == {"a": "entry-a", "b": "entry-b"}
        await routes.remove("a")
        await routes.remove("unknown")
        assert in_file(made) == await in_memory(made) == {"b": "entry-b"}
        await routes.replace({"c": "entry-c"})
        assert in_file(made) == await in_memory(made) == {"c": "entry-c"}

    asyncio.run(change())


def test_missing_memory_is_remembered_when_the_tenants_are_replaced(run: Run) -> None:
    made = run(model=None)

    async def change() -> None:
        routes = routes_of(made)
        await routes.add(OUT_OF_MEMORY_KEY, "/")
        await routes.replace({"a": "entry-a"})
        assert in_file(made) == await in_memory(made) == {OUT_OF_MEMORY_KEY: "/", "a": "entry-a"}
        await routes.remove(OUT_OF_MEMORY_KEY)
        assert in_file(made) == await in_memory(made) == {"a": "entry-a"}

    asyncio.run(change())


def test_a_tenant_that_stays_is_never_missing_while_others_are_replaced(run: Run) -> None:
    made = run(model=None)
    tenants = {f"tenant-{number}": "entry" for number in range(300)}

    async def change() -> None:
        routes = routes_of(made)
        await routes.replace(tenants)
        replacing = asyncio.create_task(routes.replace(tenants))
        looks = 0
        while not replacing.done():
            assert (await in_memory(made)).keys() == tenants.keys()
            looks += 1
        await replacing
        assert looks > 1

    asyncio.run(change())


def test_a_file_that_cannot_be_written_holds_nothing_up(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """The file can't be written, as on a full disk, where SageMaker unloads tenants to make room."""
    made = run(model=None)
    obstacle = made.tenant_table.with_suffix(".new")

    async def change() -> None:
        routes = routes_of(made)
        await routes.replace({"a": "entry-a", "b": "entry-b"})
        obstacle.mkdir()
        await routes.remove("a")
        assert await in_memory(made) == {"b": "entry-b"}
        assert in_file(made) == {"a": "entry-a", "b": "entry-b"}
        obstacle.rmdir()
        await await_both(made, {"b": "entry-b"})

    asyncio.run(change())
    assert caplog.text.count("the table of tenants can't be written") == 1


def test_a_haproxy_that_is_stuck_holds_nothing_up(
    run: Run, haproxy: Callable[[], psutil.Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "ANSWER_SECONDS", 0.2)
    made = run(model=None)

    async def change() -> None:
        routes = routes_of(made)
        await routes.replace({"a": "entry-a"})
        haproxy().send_signal(signal.SIGSTOP)
        try:
            await asyncio.wait_for(routes.add("b", "entry-b"), SECONDS)
            await asyncio.wait_for(routes.remove("a"), SECONDS)
        finally:
            haproxy().send_signal(signal.SIGCONT)
        await await_both(made, {"b": "entry-b"})

    asyncio.run(change())


def test_a_haproxy_that_starts_later_hears_of_everything(run: Run, tmp_path: Path) -> None:
    async def change() -> None:
        routes = Routes(tmp_path / "tenants.map", tmp_path / "haproxy.sock")
        await routes.replace({"a": "entry-a"})
        await routes.add("b", "entry-b")
        made = await asyncio.to_thread(run, model=None)
        await await_both(made, {"a": "entry-a", "b": "entry-b"})

    asyncio.run(change())
