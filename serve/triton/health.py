"""`/ping`: whether an invocation would be answered right now."""

from __future__ import annotations

import asyncio
import time

from serve import sagemaker
from serve.settings import PingMode
from serve.triton.client import TritonClient, UnreachableError
from serve.triton.configurations import Configurations
from serve.triton.processes import ModelProcesses, UnknownCommandLineError

__all__ = ["Health"]

# Well within the time that SageMaker gives /ping.
ANSWER_SECONDS = sagemaker.PING_SECONDS / 2

# A busy server may miss a check. One that is silent for longer than this is taken for dead.
SILENCE_SECONDS = 10.0


class Health:
    """Tells whether the default model and everything that it uses is ready.

    Args:
        triton: the server to ask.
        configurations: the configurations of its models.
        processes: reads the processes of its models.
        models: the models that must be ready; the members of their ensembles are added. None: only the server must be.
        mode: `ready`, or `live` to ask only whether tritonserver is alive.
    """

    def __init__(
        self,
        triton: TritonClient,
        configurations: Configurations,
        processes: ModelProcesses,
        models: tuple[str, ...],
        mode: PingMode,
    ) -> None:
        """Nothing has been asked yet."""
        self._triton = triton
        self._configurations = configurations
        self._processes = processes
        self._models = models
        self._mode = mode
        self._members: tuple[str, ...] = ()
        self._last_answer = float("-inf")
        self._last_reason: str | None = None

    async def reason_not_ready(self) -> str | None:
        """Return None if an invocation would be answered, else why it would not."""
        try:
            reason = await asyncio.wait_for(self._ask(), ANSWER_SECONDS)
        except asyncio.TimeoutError:
            return self._when_silent(f"no answer within {ANSWER_SECONDS:g} s")
        except UnreachableError as error:
            return self._not_up() if error.refused else self._when_silent(str(error))
        self._last_answer, self._last_reason = time.monotonic(), reason
        return reason

    def _not_up(self) -> str:
        """Return the reason for a tritonserver that does not listen: it does so only once all models are loaded."""
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
        for model in self._members or self._models:
            if not await self._triton.is_ready(model, ANSWER_SECONDS):
                return f"model {model!r} is not ready"
        if not self._members:
            self._members = await self._configurations.with_members(self._models, ANSWER_SECONDS)
            return await self._ask()
        configurations = await self._configurations.of(self._members, ANSWER_SECONDS)
        try:
            dead = self._processes.dead_groups(configurations, self._processes.running())
        except UnknownCommandLineError:  # then all we have is what Triton says
            return None
        return f"{', '.join(dead)}: a process of this model instance group has died" if dead else None
