"""Whether the Python models of a tenant still have all of their processes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from serve.repository import ModelConfig
from serve.tenants.values import LoadedTenant
from serve.triton.client import UnreachableError
from serve.triton.configurations import AT_START, Configurations
from serve.triton.processes import ModelProcesses, UnknownCommandLineError

__all__ = ["Condition"]

ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class Condition:
    """Compares what models are configured to have with the processes that run.

    Attributes:
        configurations: the configurations of models.
        processes: reads the processes of models.
    """

    configurations: Configurations
    processes: ModelProcesses

    async def configured(self, models: Collection[str], loaded_at: float = AT_START) -> list[ModelConfig]:
        """Return the configurations that models were loaded with; none if one of them can't be read.

        Then tritonserver is gone, or the model has been unloaded in the meantime.
        """
        try:
            return await self.configurations.of(models, ANSWER_SECONDS, loaded_at)
        except UnreachableError:
            return []

    async def is_broken(self, tenant: LoadedTenant) -> bool:
        """Tell whether a tenant has lost a process. False where processes can't be read."""
        try:
            return bool(await self.dead_groups(tenant.models, tenant.loaded_at))
        except UnknownCommandLineError:
            return False

    async def dead_groups(self, models: Collection[str], loaded_at: float = AT_START) -> tuple[str, ...]:
        """Return the instance groups of models that have lost a process.

        Raises:
            UnknownCommandLineError: processes can't be read.
        """
        configurations = await self.configured(models, loaded_at)
        return self.processes.dead_groups(configurations, await asyncio.to_thread(self.processes.running))
