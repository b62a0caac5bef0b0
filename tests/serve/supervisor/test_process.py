"""A child process and its leftovers. Like process 1, the test process adopts orphans."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from serve.plan.values import Child, EndsEndpoint
from serve.supervisor.orphans import reap_orphans
from serve.supervisor.process import Process

PR_SET_CHILD_SUBREAPER = 36
SECONDS = 20


@pytest.fixture(autouse=True)
def process_1() -> Iterator[None]:
    libc = ctypes.CDLL(None)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1) == 0
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0)


def shell(script: str, *arguments: Path) -> Child:
    return child("sh", "-c", script, "sh", *map(str, arguments))


def child(*arguments: str, sched_batch: bool = False) -> Child:
    return Child(role="app", arguments=arguments, when_it_ends=EndsEndpoint(), sched_batch=sched_batch)


async def text_of(path: Path) -> str:
    def text() -> str:
        return path.read_text() if path.exists() else ""

    while not text().endswith("\n"):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return text()


def test_what_a_killed_child_leaves_is_killed_and_reaped(tmp_path: Path) -> None:
    """Like the processes of Python models when the kernel kills tritonserver."""

    async def check() -> None:
        child = await Process.start(shell('sleep 600 & sleep 600 & echo $! > "$1"; wait', tmp_path / "pid"))
        await asyncio.wait_for(text_of(tmp_path / "pid"), SECONDS)
        orphans = psutil.Process(child.pid).children()
        assert len(orphans) == 2
        child.send(signal.SIGKILL)
        assert await asyncio.wait_for(child.wait(), SECONDS) == -signal.SIGKILL
        assert not [orphan for orphan in orphans if psutil.pid_exists(orphan.pid)]

    asyncio.run(check())


def test_an_orphan_is_reaped_while_the_child_runs(tmp_path: Path) -> None:
    async def check() -> None:
        child = await Process.start(shell('(sleep 0 & echo $! > "$1"); exec sleep 600', tmp_path / "pid"))
        waiting = asyncio.create_task(child.wait())
        orphan = int(await asyncio.wait_for(text_of(tmp_path / "pid"), SECONDS))

        async def gone() -> None:
            while psutil.pid_exists(orphan):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

        await asyncio.wait_for(gone(), SECONDS)
        assert child.running
        child.send(signal.SIGTERM)
        assert await asyncio.wait_for(waiting, SECONDS) == -signal.SIGTERM

    asyncio.run(check())


def test_no_status_of_a_child_is_lost() -> None:
    """Fifty end at about the same time, each with an orphan."""

    async def status(number: int) -> int:
        child = await Process.start(shell(f"sleep 0 & exit {number}"))
        return await asyncio.wait_for(child.wait(), SECONDS)

    async def check() -> list[int]:
        return await asyncio.gather(*map(status, range(50)))

    assert asyncio.run(check()) == list(range(50))
    assert not [left for left in psutil.Process().children() if left.name() in ("sh", "sleep")]


def test_orphans_of_others_are_reaped_and_no_status_of_a_child_is(tmp_path: Path) -> None:
    """Like a process that `docker exec` leaves behind, in its own session."""

    async def check() -> None:
        script = '(setsid sh -c "sleep 0 & echo \\$! > $1; echo \\$\\$ >> $1"); exit 7'
        child = await asyncio.create_subprocess_exec("sh", "-c", script, "sh", str(tmp_path / "pids"))
        reap_orphans([child.pid])
        assert await asyncio.wait_for(child.wait(), SECONDS) == 7
        orphan = int((await text_of(tmp_path / "pids")).split()[0])
        while psutil.pid_exists(orphan):
            reap_orphans([child.pid])
            await asyncio.sleep(0.02)

    asyncio.run(asyncio.wait_for(check(), 2 * SECONDS))


@pytest.mark.parametrize(("sched_batch", "policy"), [(False, os.SCHED_OTHER), (True, os.SCHED_BATCH)])
def test_how_it_is_scheduled(sched_batch: bool, policy: int) -> None:
    async def check() -> None:
        process = await Process.start(child("sleep", "600", sched_batch=sched_batch))
        assert os.sched_getscheduler(process.pid) == policy
        await process.stop(SECONDS)

    asyncio.run(check())
