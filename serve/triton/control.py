"""Loading and unloading over gRPC: each call gets a thread of its own in Triton, so invocations don't wait for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException

__all__ = ["ControlError", "Deadline", "StillUnloadingError", "TritonControl", "open_control"]

TIME_IS_UP = "StatusCode.DEADLINE_EXCEEDED"
NO_ANSWER = ("StatusCode.UNAVAILABLE", TIME_IS_UP, "StatusCode.CANCELLED")

# Triton lists the repository and then reads each directory. Another tenant's may have been removed in between.
VANISHED = "failed to stat file"

INDEX_SECONDS = 10.0
POLL_SECONDS = (0.02, 0.2)  # the first and the longest pause between two checks


class Deadline:
    """The moment by which an operation must have ended, however many steps it takes.

    Args:
        seconds: from now on.
    """

    def __init__(self, seconds: float) -> None:
        """Start the clock."""
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left; 0 once it has passed."""
        return max(0.0, self._at - time.monotonic())


class ControlError(RuntimeError):
    """Triton refused, failed, or did not answer.

    Args:
        message: Triton's own.
        reached: whether Triton answered at all.
    """

    def __init__(self, message: str, *, reached: bool = True) -> None:
        """Keep the message, and whether Triton was reached."""
        super().__init__(message)
        self.reached = reached


class StillUnloadingError(ControlError):
    """Models were not unloaded in time.

    Args:
        models: their names.
        seconds: how long was waited.
    """

    def __init__(self, models: frozenset[str], seconds: float) -> None:
        """Keep the models."""
        super().__init__(f"still unloading after {seconds:.0f} s: {', '.join(sorted(models))}")
        self.models = models


@asynccontextmanager
async def open_control(address: str) -> AsyncIterator[TritonControl]:
    """Open Triton's model control for as long as a block lasts; it connects when it is first used.

    Args:
        address: `host:port` of Triton's gRPC front end.
    """
    client = triton.InferenceServerClient(address)
    try:
        yield TritonControl(client)
    finally:
        await client.close()


class TritonControl:
    """Triton's model control.

    Args:
        client: the connection to use, which the caller closes.
    """

    def __init__(self, client: triton.InferenceServerClient) -> None:
        """Nothing is sent yet."""
        self._client = client

    async def load(self, model: str, seconds: float) -> None:
        """Load a model and what its ensemble runs; return once it is ready.

        Raises:
            ControlError: it did not load, or not within `seconds`; says why.
        """
        try:
            await self._client.load_model(model, client_timeout=seconds)
        except InferenceServerException as error:
            if error.status() == TIME_IS_UP:
                raise ControlError(f"{model} is still not ready after {seconds:.0f} s", reached=False) from error
            raise _control_error(error) from error

    async def unload(self, models: Collection[str], seconds: float) -> None:
        """Unload models together; return when all of them have finished their requests and are gone.

        Models that are not loaded are skipped.

        Raises:
            StillUnloadingError: they were not gone in time.
            ControlError: Triton does not answer.
        """
        deadline = Deadline(seconds)
        await asyncio.gather(*(self._unload(model, seconds) for model in models))
        pause = POLL_SECONDS[0]
        while remaining := frozenset((await self.loaded()).intersection(models)):
            if not deadline.left():
                raise StillUnloadingError(remaining, seconds)
            await asyncio.sleep(pause)
            pause = min(2 * pause, POLL_SECONDS[1])

    async def loaded(self) -> set[str]:
        """Return the models that take memory: ready, loading, or unloading.

        Raises:
            ControlError: Triton does not answer.
        """
        return {name for name, state in await self._states() if state in ("READY", "LOADING", "UNLOADING")}

    async def ready(self) -> set[str]:
        """Return the models that are ready.

        Raises:
            ControlError: Triton does not answer.
        """
        return {name for name, state in await self._states() if state == "READY"}

    async def _unload(self, model: str, seconds: float) -> None:
        try:
            await self._client.unload_model(model, client_timeout=seconds)
        except InferenceServerException as error:
            # Triton does not accept an order to unload a model that it is loading.
            if "not found" not in error.message().lower() and error.status() != TIME_IS_UP:
                raise _control_error(error) from error

    async def _states(self) -> list[tuple[str, str]]:
        """Return the name and the state of each model that Triton knows or finds in its repositories."""
        deadline = Deadline(INDEX_SECONDS)
        while True:
            try:
                index = await self._client.get_model_repository_index(client_timeout=INDEX_SECONDS)
                return [(model.name, model.state) for model in index.models]
            except InferenceServerException as error:
                if VANISHED not in error.message() or not deadline.left():
                    raise _control_error(error) from error
            await asyncio.sleep(POLL_SECONDS[0])


def _control_error(error: InferenceServerException) -> ControlError:
    return ControlError(error.message(), reached=error.status() not in NO_ANSWER)
