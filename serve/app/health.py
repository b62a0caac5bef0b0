"""`/ping`: whether an invocation would be answered right now."""

from __future__ import annotations

import asyncio
import os
import time

import psutil

from serve.triton.client import TritonClient, UnreachableError

__all__ = ["Health", "PythonProcesses"]

# SageMaker waits 2 s for an answer to /ping.
ANSWER_SECONDS = 1.0

# A server that is busy may miss a check; one that is silent for longer is taken for dead.
SILENCE_SECONDS = 10.0

STUB = "triton_python_backend_stub"


class PythonProcesses:
    """The processes that Triton runs Python models in. Triton goes on to call a model ready when one of them has died."""

    def __init__(self) -> None:
        """Nothing is looked at yet."""
        self._known: dict[int, str] = {}

    def remember(self) -> None:
        """Take those that run now for the ones that must go on running."""
        self._known.update(self._running())

    def dead(self) -> tuple[str, ...]:
        """Return the model instances, such as `label_top_k_0_0`, whose process has died since."""
        running = self._running()
        return tuple(sorted(instance for pid, instance in self._known.items() if pid not in running))

    @staticmethod
    def _running() -> dict[int, str]:
        # The app and tritonserver are children of the same supervisor.
        family = psutil.Process(os.getppid()).children(recursive=True)
        return dict(filter(None, map(_instance, family)))


class Health:
    """Answers whether the default model and everything that it uses is ready.

    Args:
        triton: the server to ask.
        processes: the Python models' processes.
        models: the models that must be ready; what their ensembles run is added.
        mode: `ready`, or `live` to ask only whether tritonserver is alive.
    """

    def __init__(self, triton: TritonClient, processes: PythonProcesses, models: tuple[str, ...], mode: str) -> None:
        """Keep what to ask; nothing is asked yet."""
        self._triton = triton
        self._processes = processes
        self._models = models
        self._mode = mode
        self._all_models: tuple[str, ...] | None = None
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
        for model in self._all_models or self._models:
            if not await self._triton.is_ready(model, ANSWER_SECONDS):
                return f"model {model!r} is not ready"
        if self._all_models is None:
            self._all_models = await self._with_members(self._models)
            self._processes.remember()
            return await self._ask()
        if dead := self._processes.dead():
            return f"the process of model instance {', '.join(dead)} has died"
        return None

    async def _with_members(self, models: tuple[str, ...]) -> tuple[str, ...]:
        found = dict.fromkeys(models)
        waiting = list(models)
        while waiting:
            members = await self._triton.ensemble_members(waiting.pop(), ANSWER_SECONDS)
            waiting += [member for member in members if member not in found]
            found.update(dict.fromkeys(members))
        return tuple(found)


def _instance(process: psutil.Process) -> tuple[int, str] | None:
    """Return (process id, model instance) of a stub; None for another process, or one that has ended meanwhile.

    The stub's command line: program, model file, shared memory region, sizes, parent, …, instance name, backend.
    """
    try:
        if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith(STUB[:15]):
            return None
        return process.pid, process.cmdline()[-2]
    except (psutil.NoSuchProcess, IndexError):
        return None
