"""Maps that change while HAProxy runs: in its memory and in the file, whatever happens to either."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from serve.front_door.admin import AdminSession
from serve.front_door.live_map import HAProxyMap
from tests.serve.front_door.conftest import Run, tenant_maps

Entries = dict[str, str]

SECONDS = 20


class Place:
    """A HAProxy with the maps of a multi-model endpoint, the tenant map among them."""

    def __init__(self, directory: Path) -> None:
        self.path = tenant_maps(directory).tenants
        self.admin_socket = directory / "haproxy.sock"

    def map(self, **options: float) -> HAProxyMap:
        return HAProxyMap(self.path, self.admin_socket, **options)

    def in_file(self) -> Entries:
        return dict(line.split() for line in self.path.read_text().splitlines())

    async def in_memory(self) -> Entries:
        """Return HAProxy's copy: each line of its answer has an address, a key and a value."""
        async with AdminSession(self.admin_socket) as session:
            lines = (await session.command(f"show map {self.path}")).splitlines()
        return {fields[1]: fields[2] for line in lines if len(fields := line.split()) == 3}

    async def await_both(self, expected: Entries) -> None:
        async def settle() -> None:
            while not (self.in_file() == expected == await self.in_memory()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

        await asyncio.wait_for(settle(), SECONDS)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def running(run: Run, place: Place, tmp_path: Path) -> Place:
    run(serves=tenant_maps(tmp_path))
    return place


def test_changes_reach_both(running: Place) -> None:
    async def change() -> None:
        entries = running.map()
        await entries.add("a", "entry-a")
        await entries.add("b", "entry-b")
        assert running.in_file() == await running.in_memory() == {"a": "entry-a", "b": "entry-b"}
        await entries.remove("a")
        await entries.remove("unknown")
        assert running.in_file() == await running.in_memory() == {"b": "entry-b"}
        await entries.replace({"c": "entry-c"})
        assert running.in_file() == await running.in_memory() == {"c": "entry-c"}

    asyncio.run(change())


def test_an_entry_that_stays_is_never_missing_while_others_are_replaced(running: Place) -> None:
    wanted = {f"tenant-{number}": "entry" for number in range(300)}

    async def change() -> None:
        entries = running.map()
        await entries.replace(wanted)
        replacing = asyncio.create_task(entries.replace(wanted))
        looks = 0
        while not replacing.done():
            assert (await running.in_memory()).keys() == wanted.keys()
            looks += 1
        await replacing
        assert looks > 1

    asyncio.run(change())


def test_a_file_that_cannot_be_written_holds_nothing_up(running: Place, caplog: pytest.LogCaptureFixture) -> None:
    """As on a full disk, on which SageMaker unloads tenants to make room."""
    obstacle = running.path.with_suffix(".new")

    async def change() -> None:
        entries = running.map()
        await entries.replace({"a": "entry-a", "b": "entry-b"})
        obstacle.mkdir()
        await entries.remove("a")
        assert await running.in_memory() == {"b": "entry-b"}
        assert running.in_file() == {"a": "entry-a", "b": "entry-b"}
        obstacle.rmdir()
        await running.await_both({"b": "entry-b"})

    asyncio.run(change())
    assert caplog.text.count(f"HAProxy's map {running.path} can't be written") == 1


def test_a_haproxy_that_is_stuck_holds_nothing_up(running: Place, haproxy: Callable[[], psutil.Process]) -> None:
    async def change() -> None:
        entries = running.map(answer_seconds=0.2)
        await entries.replace({"a": "entry-a"})
        haproxy().send_signal(signal.SIGSTOP)
        try:
            await asyncio.wait_for(entries.add("b", "entry-b"), SECONDS)
            await asyncio.wait_for(entries.remove("a"), SECONDS)
        finally:
            haproxy().send_signal(signal.SIGCONT)
        await running.await_both({"b": "entry-b"})

    asyncio.run(change())


def test_a_haproxy_that_starts_later_hears_of_everything(run: Run, place: Place, tmp_path: Path) -> None:
    async def change() -> None:
        entries = place.map()
        await entries.replace({"a": "entry-a"})
        await entries.add("b", "entry-b")
        await asyncio.to_thread(run, serves=tenant_maps(tmp_path))
        await place.await_both({"a": "entry-a", "b": "entry-b"})

    asyncio.run(change())
