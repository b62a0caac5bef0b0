"""Watching loaded models: processes that have died, and processes that the kernel has killed for lack of memory."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine

from serve.machine.resources import Resources
from serve.tenants.condition import Condition
from serve.tenants.errors import NotLoadedError
from serve.tenants.lifecycle import Tenants
from serve.tenants.values import LoadedTenant
from serve.triton.control import ControlError
from serve.triton.processes import UnknownCommandLineError

__all__ = ["KillWatch", "ProcessWatch"]

logger = logging.getLogger("serve.app")

DEAD_POLL_SECONDS = 2.0

# Triton takes longer than this to notice that a process is gone, and so to answer the requests that it had.
KILL_POLL_SECONDS = 0.1
KILL_MEMORY_SECONDS = 30.0


class ProcessWatch:
    """Unloads tenants that have lost a process, which makes SageMaker load them again; knows which shared models have.

    Attributes:
        dead_shared: the instance groups of shared models that have lost a process.

    Args:
        tenants: the tenants.
        condition: compares models with their processes.
        start: runs work in the background.
    """

    def __init__(
        self, tenants: Tenants, condition: Condition, start: Callable[[Coroutine[object, None, None]], None]
    ) -> None:
        """Nothing is watched yet."""
        self.dead_shared: tuple[str, ...] = ()
        self._tenants = tenants
        self._condition = condition
        self._start = start
        self._given_up: set[LoadedTenant] = set()

    async def run(self) -> None:
        """Watch for ever, or until it turns out that processes can't be read."""
        while True:
            await asyncio.sleep(DEAD_POLL_SECONDS)
            await self._tenants.recovered.wait()
            try:
                await self._look()
            except UnknownCommandLineError as error:
                return logger.warning("processes that die will not be noticed: %s", error)

    def restart(self) -> None:
        """Forget what is known of the processes of another tritonserver."""
        self.dead_shared = ()

    async def _look(self) -> None:
        # Configurations come first, since they may take long, and processes last: whatever was loaded before has all of
        # its processes by then.
        tenants = self._tenants.registry.all()
        expected = {tenant: await self._condition.configured(tenant.models, tenant.loaded_at) for tenant in tenants}
        shared = await self._condition.configured(self._tenants.loader.loaded_shared)
        processes = self._condition.processes
        running = await asyncio.to_thread(processes.running)
        for tenant, configurations in expected.items():
            if (dead := processes.dead_groups(configurations, running)) and tenant not in self._given_up:
                self._given_up.add(tenant)
                self._start(self._give_up(tenant, dead))  # in the background: it may take long
        self.dead_shared = await self._still_dead_shared() if processes.dead_groups(shared, running) else ()
        self._condition.configurations.keep([tenant.loaded_at for tenant in tenants])

    async def _still_dead_shared(self) -> tuple[str, ...]:
        """Look again: tritonserver may have been restarted between reading configurations and reading processes."""
        dead = await self._condition.dead_groups(self._tenants.loader.loaded_shared)
        return dead if self._tenants.recovered.is_set() else ()

    async def _give_up(self, tenant: LoadedTenant, dead: tuple[str, ...]) -> None:
        try:
            # The tenant may have been in the middle of an unload at the first look.
            if self._tenants.get(tenant.name) is tenant and await self._condition.is_broken(tenant):
                logger.error("%s has lost a process (%s): unloading it", tenant.name, ", ".join(dead))
                await self._tenants.unload(tenant.name, only=tenant)
        except (NotLoadedError, ControlError) as error:
            logger.warning("unloading %s: %s", tenant.name, error)
        finally:
            self._given_up.discard(tenant)


class KillWatch:
    """Notices that the kernel has killed a process for lack of memory, and tells the front door so for a while.

    Args:
        resources: counts the kills.
        tell: tells the front door whether a process was killed recently, so that it answers 507.
    """

    def __init__(self, resources: Resources, tell: Callable[[bool], Awaitable[None]]) -> None:
        """Nothing is watched yet."""
        self._resources = resources
        self._tell = tell
        self._killed_at = float("-inf")

    def killed_recently(self) -> bool:
        """Tell whether the kernel has killed a process for lack of memory a short time ago."""
        return time.monotonic() - self._killed_at < KILL_MEMORY_SECONDS

    async def run(self) -> None:
        """Watch for ever."""
        kills = self._resources.kills_for_memory()
        told = False
        while True:
            await asyncio.sleep(KILL_POLL_SECONDS)
            if (now := self._resources.kills_for_memory()) > kills:
                kills, self._killed_at = now, time.monotonic()
                logger.error("the kernel has killed a process for lack of memory")
            if self.killed_recently() != told:
                told = not told
                await self._tell(told)
