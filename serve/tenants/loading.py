"""Loading the models of a tenant in Triton."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from serve.tenants.values import LoadedTenant
from serve.triton.control import Deadline, TritonControl

__all__ = ["Loader"]


class Loader:
    """Loads models, and keeps count of the shared ones.

    Args:
        control: Triton's model control.
    """

    def __init__(self, control: TritonControl) -> None:
        """No shared model is loaded yet."""
        self._control = control
        self._loaded_shared: frozenset[str] = frozenset()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def loaded_shared(self) -> frozenset[str]:
        """Return the shared models that are loaded, which every tenant may depend on."""
        return self._loaded_shared

    def restart(self, loaded_shared: frozenset[str]) -> None:
        """Take note of the shared models that are loaded now that the app, or tritonserver, was restarted."""
        self._loaded_shared = loaded_shared

    async def load(self, tenant: LoadedTenant, deadline: Deadline) -> None:
        """Load the models of a tenant: the shared ones first, then each model before those that call it.

        Triton would load what an ensemble runs by itself, but it loads ensembles that have a model in common, such as a
        shared one, one after the other.

        Raises:
            ControlError: a model did not load, or not by the deadline.
        """
        await asyncio.gather(*(self._load_shared(model, deadline) for model in tenant.shared))
        for layer in reversed(tenant.layers):
            # All of them have ended when a failure is raised: nothing is still loading when it is cleaned up.
            loads = (self._control.load(model, deadline.left()) for model in layer)
            outcomes = await asyncio.gather(*loads, return_exceptions=True)
            for failure in filter(None, outcomes):
                raise failure

    async def _load_shared(self, model: str, deadline: Deadline) -> None:
        """Load a shared model by its own name, once: it then stays when the tenants that use it are unloaded."""
        lock = self._locks.get(model)
        if lock is None:
            lock = self._locks[model] = asyncio.Lock()
        async with lock:
            if model not in self._loaded_shared:
                await self._control.load(model, deadline.left())
                self._loaded_shared |= {model}
