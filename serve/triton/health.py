"""`/ping`: whether an invocation would be answered right now."""

from __future__ import annotations

import asyncio
import time

from serve import sagemaker
from serve.repository import ModelConfig, Runtime
from serve.triton.client import TritonClient, UnreachableError
from serve.triton.processes import UnknownCommandLineError, dead_groups, running_instances

__all__ = ["Health"]

# Well within the time that SageMaker gives /ping.
ANSWER_SECONDS = sagemaker.PING_SECONDS / 2

# A server that is busy may miss a check; one that is silent for longer is taken for dead.
SILENCE_SECONDS = 10.0


class Health:
    """Answers whether the default model and everything that it uses is ready.

    Args:
        triton: the server to ask.
        models: the models that must be ready; what their ensembles run is added. None: only the server must be.
        mode: `ready`, or `live` to ask only whether tritonserver is alive.
        runtime: what decides how many processes a model runs in.
    """

    def __init__(self, triton: TritonClient, models: tuple[str, ...], mode: str, runtime: Runtime) -> None:
        """Keep what to ask; nothing is asked yet."""
        self._triton = triton
        self._models = models
        self._mode = mode
        self._runtime = runtime
        self._configurations: dict[str, ModelConfig] = {}
        self._last_answer = float("-inf")
        self._last_reason: str | None = None

    async def reason_not_ready(self) -> str | None:
        """Return None when an invocation would be answered, else why it would not."""
        try:
            reason = await asyncio.wait_for(self._ask(), ANSWER_SECONDS)
        except asyncio.TimeoutError:
            return self._when_silent(f"no answer within {ANSWER_SECONDS:g} s")
        except UnreachableError as error:
            return self._not_up() if error.refused else self._when_silent(str(error))
        self._last_answer, self._last_reason = time.monotonic(), reason
        return reason

    def _not_up(self) -> str:
        """Return what can be said of a tritonserver that does not listen, as it does only once all is loaded."""
        models = f" ({', '.join(self._models)})" if self._models else ""
        return f"tritonserver does not accept requests: it still loads its models{models}, or has ended; see the log"

    def _when_silent(self, how: str) -> str | None:
        if time.monotonic() - self._last_answer < SILENCE_SECONDS:
            return self._last_reason
        return f"tritonserver does not answer: {how}"

    async def _ask(self) -> str | None:
        if self._mode == "live":
            return None if await self._triton.is_live(ANSWER_SECONDS) else "tritonserver is not live"
        if not self._models:
            return None if await self._triton.is_server_ready(ANSWER_SECONDS) else "tritonserver is not ready"
        for model in self._configurations or self._models:
            if not await self._triton.is_ready(model, ANSWER_SECONDS):
                return f"model {model!r} is not ready"
        if not self._configurations:
            self._configurations = await self._with_members(self._models)
            return await self._ask()
        try:
            dead = dead_groups(self._configurations.values(), running_instances(), self._runtime)
        except UnknownCommandLineError:  # then Triton's own word must do
            return None
        return f"{', '.join(dead)}: a process of this model instance group has died" if dead else None

    async def _with_members(self, models: tuple[str, ...]) -> dict[str, ModelConfig]:
        """Return the configurations of models and of everything that their ensembles run."""
        found: dict[str, ModelConfig] = {}
        waiting = list(models)
        while waiting:
            model = waiting.pop()
            if model not in found:
                found[model] = await self._triton.configuration(model, ANSWER_SECONDS)
                waiting += found[model].step_models
        return found
