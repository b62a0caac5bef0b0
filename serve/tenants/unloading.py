"""Unloading the models of a tenant in Triton, and removing everything else that is left of the tenant."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from serve.tenants.registry import Registry
from serve.tenants.store import Store
from serve.tenants.values import LoadedTenant
from serve.triton.control import ControlError, Deadline, StillUnloadingError, TritonControl
from serve.triton.processes import Instance, ModelProcesses, UnknownCommandLineError

__all__ = ["CLEAR_SECONDS", "Unloader"]

logger = logging.getLogger("serve.app")

# How long removing what a failed load has left may take.
CLEAR_SECONDS = 30.0

# How long the requests that a tenant without one of its processes still answers may take. SageMaker waits for 60 s.
BROKEN_SECONDS = 10.0

# How long an order to Triton may take although the time is up.
LAST_SECONDS = 1.0


class Unloader:
    """Removes tenants that are not loaded any more, or whose load has failed.

    Attributes:
        abandoned: names of models that Triton never unloads, and that can't be used again.

    Args:
        control: Triton's model control.
        store: where tenants are written.
        registry: the loaded tenants.
        processes: reads the processes of models.
        broken_seconds: how long to wait for models that are likely never to unload.
    """

    def __init__(
        self,
        control: TritonControl,
        store: Store,
        registry: Registry,
        processes: ModelProcesses,
        broken_seconds: float = BROKEN_SECONDS,
    ) -> None:
        """Nothing is being unloaded yet."""
        self.abandoned: frozenset[str] = frozenset()
        self._control = control
        self._store = store
        self._registry = registry
        self._processes = processes
        self._broken_seconds = broken_seconds
        self._unfinished: dict[str, LoadedTenant] = {}

    def is_unfinished(self, name: str) -> bool:
        """Tell whether something may be left of a tenant that is not loaded."""
        return name in self._unfinished

    def begin(self, tenant: LoadedTenant) -> None:
        """Take over a tenant that is not loaded any more: `finish` removes what is left of it."""
        self._unfinished[tenant.name] = tenant

    def forget_unfinished(self) -> None:
        """Forget what was begun: the recovery finds it on disk."""
        self._unfinished.clear()

    async def finish(self, name: str, deadline: Deadline, *, force: bool) -> None:
        """Remove what is left of a tenant that is not loaded any more, or not yet.

        Raises:
            StillUnloadingError, ControlError: see `unload`. What is left stays for the next attempt.
        """
        if (tenant := self._unfinished.get(name)) is None:
            return
        await self._registry.remove(name)
        await self.unload(tenant.layers, deadline, force=force)
        await asyncio.to_thread(self._store.remove, tenant.models)
        await asyncio.to_thread(self._store.forget, name)
        del self._unfinished[name]

    async def clear_away(self, tenant: LoadedTenant) -> None:
        """Remove everything that a failed load has left, whatever the reason; log it if that fails as well."""
        self.begin(tenant)
        try:
            await self.finish(tenant.name, Deadline(CLEAR_SECONDS), force=True)
        except (ControlError, OSError) as error:
            logger.error("%s could not be removed, its next load or unload tries again: %s", tenant.name, error)

    async def unload(self, layers: tuple[tuple[str, ...], ...], deadline: Deadline, *, force: bool) -> None:
        """Unload models, those that call others first, and wait until their processes have ended.

        Args:
            layers: their names.
            deadline: when to give up.
            force: abandon models that are still there after `broken_seconds`: nobody waits for their responses, or
                there will never be any.

        Raises:
            StillUnloadingError: they are still there at the deadline.
            ControlError: Triton does not answer.
        """
        models = frozenset(model for layer in layers for model in layer)
        before = await asyncio.to_thread(self._instances_of, models)
        gone: set[str] = set()
        for layer in layers:
            while remaining := await self._try_unload(layer, deadline, force=force):
                if force:
                    await self._abandon(remaining)
                    break
                died = before - await asyncio.to_thread(self._instances_of, models)
                force = any(instance.model not in gone for instance in died)
            gone.update(layer)
        with suppress(UnknownCommandLineError):
            await asyncio.to_thread(self._processes.await_end, models)

    async def _try_unload(self, layer: tuple[str, ...], deadline: Deadline, *, force: bool) -> frozenset[str]:
        """Unload models for `broken_seconds`, or for what is left of the time; return those that are still there.

        Raises:
            StillUnloadingError: some are still there and the time is up, unless they are to be abandoned.
        """
        try:
            await self._control.unload(layer, min(self._broken_seconds, max(deadline.left(), LAST_SECONDS)))
        except StillUnloadingError as error:
            if not force and not deadline.left():
                raise
            return error.models
        return frozenset()

    async def _abandon(self, models: frozenset[str]) -> None:
        """Kill the processes of models that Triton does not unload, and never use the models' names again.

        Triton never unloads a model that has failed a request because a process was gone: it still counts that request
        as running. Once the processes are killed, only the name is left.
        """
        with suppress(UnknownCommandLineError):
            await asyncio.to_thread(self._processes.kill, models)
        self.abandoned |= models

    def _instances_of(self, models: frozenset[str]) -> frozenset[Instance]:
        """Return the live processes of models; none where they can't be read."""
        try:
            return frozenset(instance for instance in self._processes.running() if instance.model in models)
        except UnknownCommandLineError:
            return frozenset()
