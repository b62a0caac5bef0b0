"""Bringing back the tenants after the app, or tritonserver, was restarted."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from serve.tenants.exclusive import Exclusive
from serve.tenants.lifecycle import LOAD_SECONDS
from serve.tenants.loading import Loader
from serve.tenants.registry import Registry
from serve.tenants.store import Store
from serve.tenants.unloading import CLEAR_SECONDS, Unloader
from serve.tenants.values import LoadedTenant, SharedModels
from serve.triton.control import ControlError, Deadline, TritonControl

__all__ = ["Recovery"]

logger = logging.getLogger("serve.app")

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Recovery:
    """Brings the tenants back.

    Attributes:
        control: Triton's model control.
        store: which tenants were loaded.
        registry: the loaded tenants.
        exclusive: keeps loads and unloads waiting meanwhile.
        loader: loads what is not loaded any more.
        unloader: unloads what belongs to no tenant.
        shared: the image's shared models.
    """

    control: TritonControl
    store: Store
    registry: Registry
    exclusive: Exclusive
    loader: Loader
    unloader: Unloader
    shared: SharedModels

    async def recover(self) -> None:
        """Bring back the tenants that were loaded before the app or tritonserver was restarted, and remove the rest.

        Returns once Triton answers and all of it is done. A tenant that can't be brought back is unloaded: SageMaker
        loads it again when it is next invoked.

        Raises:
            OSError, ValueError: the records can't be read.
        """
        async with self.exclusive.recovery():
            ready = await self._ready_models()
            self.unloader.forget_unfinished()  # it is recorded, or installed and not recorded
            self.loader.restart(frozenset(ready & self.shared.names))
            recorded = list(self.store.recorded())
            await self.registry.replace(tenant for tenant in recorded if ready.issuperset(tenant.models))
            await self._remove_strays(ready, recorded)
            lost = [tenant for tenant in recorded if self.registry.get(tenant.name) is None]
            await asyncio.gather(*map(self._load_again, lost))

    async def _ready_models(self) -> set[str]:
        with suppress(ControlError):
            return await self.control.ready()
        await self.registry.replace(())
        while True:
            with suppress(ControlError):  # it is starting
                return await self.control.ready()
            await asyncio.sleep(POLL_SECONDS)

    async def _remove_strays(self, ready: set[str], recorded: list[LoadedTenant]) -> None:
        """Remove the models that are installed and belong to no tenant, and find out which Triton never unloads."""
        wanted = {model for tenant in recorded for model in tenant.models}
        stray = self.store.installed() - wanted
        await self.unloader.unload((tuple(stray),), Deadline(CLEAR_SECONDS), force=True)
        await asyncio.to_thread(self.store.remove, stray)
        self.unloader.abandoned = frozenset(await self.control.loaded() - ready - wanted)

    async def _load_again(self, tenant: LoadedTenant) -> None:
        try:
            await self.loader.load(tenant, Deadline(LOAD_SECONDS))
        except ControlError as error:
            logger.error("%s can't be loaded again: %s", tenant.name, error)
            await self.unloader.clear_away(tenant)
        else:
            await self.registry.add(tenant)
            logger.info("loaded %s again", tenant.name)
