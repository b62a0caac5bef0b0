"""Which operations wait for which: those of one tenant for each other, and all of them for a recovery."""

from __future__ import annotations

import asyncio

import pytest

from serve.tenants.exclusive import Exclusive
from serve.triton.control import ControlError

SECONDS = 60.0


class Operation:
    """An operation that has begun once `running` is set, and ends once `end` is set."""

    def __init__(self, exclusive: Exclusive, name: str, seconds: float = SECONDS) -> None:
        self.running = asyncio.Event()
        self.end = asyncio.Event()
        self.task = asyncio.create_task(self._run(exclusive, name, seconds))

    async def _run(self, exclusive: Exclusive, name: str, seconds: float) -> None:
        async with exclusive.tenant(name, seconds):
            self.running.set()
            await self.end.wait()


async def settle() -> None:
    """Let every task run as far as it can: none of them waits for anything but the others."""
    for _ in range(20):
        await asyncio.sleep(0)


async def recovered() -> Exclusive:
    exclusive = Exclusive()
    async with exclusive.recovery():
        pass
    return exclusive


def test_operations_of_one_tenant_wait_for_each_other() -> None:
    async def scenario() -> None:
        exclusive = await recovered()
        first = Operation(exclusive, "a")
        await first.running.wait()
        second, other = Operation(exclusive, "a"), Operation(exclusive, "b")
        await settle()
        assert (second.running.is_set(), other.running.is_set()) == (False, True)
        first.end.set()
        await second.running.wait()
        for each in (second, other):
            each.end.set()
            await each.task

    asyncio.run(scenario())


def test_operations_wait_for_the_recovery_and_it_waits_for_those_under_way() -> None:
    async def scenario() -> None:
        exclusive = await recovered()
        before = Operation(exclusive, "a")
        await before.running.wait()
        end, recovering = asyncio.Event(), asyncio.Event()

        async def recover() -> None:
            async with exclusive.recovery():
                recovering.set()
                await end.wait()

        recovery = asyncio.create_task(recover())
        await settle()
        during = Operation(exclusive, "b")
        await settle()
        assert (recovering.is_set(), during.running.is_set()) == (False, False)
        before.end.set()
        await recovering.wait()
        await settle()
        assert not during.running.is_set()
        end.set()
        await during.running.wait()
        during.end.set()
        await asyncio.gather(before.task, during.task, recovery)

    asyncio.run(scenario())


def test_a_recovery_that_fails_lets_nothing_begin() -> None:
    async def scenario() -> None:
        exclusive = Exclusive()
        with pytest.raises(ZeroDivisionError):
            async with exclusive.recovery():
                raise ZeroDivisionError
        waiting = Operation(exclusive, "a")
        await settle()
        assert not exclusive.recovered.is_set()
        assert not waiting.running.is_set()
        waiting.task.cancel()

    asyncio.run(scenario())


def test_an_operation_whose_time_is_up_before_it_begins() -> None:
    async def scenario() -> None:
        exclusive = await recovered()
        late = Operation(exclusive, "a", seconds=0)
        with pytest.raises(ControlError, match="'a' was still being loaded or unloaded after 0 s: try again"):
            await late.task

    asyncio.run(scenario())
