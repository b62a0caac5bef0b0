"""The configurations of ready models, as Triton completed them: the one cache, for `/ping` and for the watch alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from serve.repository import ModelConfig
from serve.triton.client import TritonClient

__all__ = ["AT_START", "Configurations"]

# Stands for the time of loading of models that are loaded once: the models of the image, or of a single-model endpoint.
AT_START = 0.0


class Configurations:
    """Asks Triton for the configuration of each model once for every time that the model is loaded.

    Args:
        triton: the server to ask.
    """

    def __init__(self, triton: TritonClient) -> None:
        """Start with an empty cache."""
        self._triton = triton
        self._known: dict[tuple[str, float], ModelConfig] = {}

    async def of(self, models: Iterable[str], seconds: float, loaded_at: float = AT_START) -> list[ModelConfig]:
        """Return the configurations of ready models.

        Args:
            models: their names in Triton.
            seconds: how long each answer may take.
            loaded_at: when they were loaded: the same name may be loaded again with another configuration.

        Raises:
            UnreachableError: Triton does not answer, or one of the models is not loaded.
        """
        return [await self._of(model, seconds, loaded_at) for model in models]

    async def with_members(self, models: Iterable[str], seconds: float) -> tuple[str, ...]:
        """Return the names of models, and of everything that their ensembles run.

        Raises:
            UnreachableError: see `of`.
        """
        found: dict[str, ModelConfig] = {}
        waiting = list(models)
        while waiting:
            if (model := waiting.pop()) not in found:
                found[model] = await self._of(model, seconds, AT_START)
                waiting += found[model].step_models
        return tuple(found)

    def keep(self, loads: Collection[float]) -> None:
        """Forget the models that were loaded at another time than at these, or at the start."""
        kept = {AT_START, *loads}
        self._known = {key: value for key, value in self._known.items() if key[1] in kept}

    async def _of(self, model: str, seconds: float, loaded_at: float) -> ModelConfig:
        key = (model, loaded_at)
        if key not in self._known:
            self._known[key] = await self._triton.configuration(model, seconds)
        return self._known[key]
