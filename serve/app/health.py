"""`/ping`: whether an invocation would be answered right now."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

import psutil

from serve.triton.client import TritonClient, UnreachableError

__all__ = ["Health"]

Configuration = dict[str, Any]

# SageMaker waits 2 s for an answer to /ping.
ANSWER_SECONDS = 1.0

# A server that is busy may miss a check; one that is silent for longer is taken for dead.
SILENCE_SECONDS = 10.0

STUB = "triton_python_backend_stub"


class Health:
    """Answers whether the default model and everything that it uses is ready.

    Args:
        triton: the server to ask.
        models: the models that must be ready; what their ensembles run is added.
        mode: `ready`, or `live` to ask only whether tritonserver is alive.
    """

    def __init__(self, triton: TritonClient, models: tuple[str, ...], mode: str) -> None:
        """Keep what to ask; nothing is asked yet."""
        self._triton = triton
        self._models = models
        self._mode = mode
        self._configurations: dict[str, Configuration] = {}
        self._last_answer = float("-inf")
        self._last_reason: str | None = None

    async def reason_not_ready(self) -> str | None:
        """Return None when an invocation would be answered, else why it would not."""
        try:
            reason = await asyncio.wait_for(self._ask(), ANSWER_SECONDS)
        except asyncio.TimeoutError:
            return self._when_silent("no answer within 1 s")
        except UnreachableError as error:
            return f"tritonserver does not answer: {error}" if error.refused else self._when_silent(str(error))
        self._last_answer, self._last_reason = time.monotonic(), reason
        return reason

    def _when_silent(self, how: str) -> str | None:
        if time.monotonic() - self._last_answer < SILENCE_SECONDS:
            return self._last_reason
        return f"tritonserver does not answer: {how}"

    async def _ask(self) -> str | None:
        if self._mode == "live":
            return None if await self._triton.is_live(ANSWER_SECONDS) else "tritonserver is not live"
        for model in self._configurations or self._models:
            if not await self._triton.is_ready(model, ANSWER_SECONDS):
                return f"model {model!r} is not ready"
        if not self._configurations:
            self._configurations = await self._with_members(self._models)
            return await self._ask()
        if dead := _dead_instances(self._configurations.values()):
            return f"{dead}: a process of this model instance group has died"
        return None

    async def _with_members(self, models: tuple[str, ...]) -> dict[str, Configuration]:
        """Return the configurations of models and of everything that their ensembles run."""
        found: dict[str, Configuration] = {}
        waiting = list(models)
        while waiting:
            model = waiting.pop()
            if model not in found:
                found[model] = await self._triton.configuration(model, ANSWER_SECONDS)
                waiting += [step["model_name"] for step in found[model].get("ensemble_scheduling", {}).get("step", [])]
        return found


def _dead_instances(configurations: Iterable[Configuration]) -> str:
    """Return the instance groups of Python models, separated by commas, that have lost a process.

    When a Python model's process dies, Triton goes on to call the model ready.
    """
    running = list(_running_instances())
    return ", ".join(
        group["name"]
        for configuration in configurations
        if configuration.get("backend") == "python" or configuration.get("runtime", "").endswith(".py")
        for group in configuration.get("instance_group", [])
        if sum(instance.startswith(f"{group['name']}_") for instance in running) < _instances(group)
    )


def _instances(group: dict[str, Any]) -> int:
    """Return how many processes an instance group has: `count`, on each of its GPUs."""
    count: int = group.get("count", 1)
    return count * max(1, len(group.get("gpus", []))) if group.get("kind") == "KIND_GPU" else count


def _running_instances() -> Iterator[str]:
    """Yield the model instances, such as `label_top_k_0_0`, whose Python process is alive.

    The command line of one: program, model file, shared memory region, sizes, …, instance name, backend directory.
    """
    # The app and tritonserver are children of the same supervisor.
    for process in psutil.Process(os.getppid()).children(recursive=True):
        try:
            if process.name() == STUB:
                yield process.cmdline()[-2]
        except (psutil.NoSuchProcess, IndexError):  # it ended while we looked
            continue
