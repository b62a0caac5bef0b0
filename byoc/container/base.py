"""What every running endpoint container offers, however it was started."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import TypeVar
from urllib.parse import urlsplit

from byoc.errors import ContainerError
from serve import sagemaker

__all__ = ["EndpointContainer"]

READY_SECONDS = 90.0  # the image classifier takes about 6 on two idle cores
STOP_SECONDS = sagemaker.STOP_SECONDS + 10.0  # `serve` itself takes 30 at most
POLL_SECONDS = 0.05
LAST_LINES = 60

Self = TypeVar("Self", bound="EndpointContainer")


class EndpointContainer(ABC):
    """A running endpoint container. As a context manager it is ended and removed when the block ends."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What errors call it."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The base URL on this machine, without a slash at its end."""

    @abstractmethod
    def output(self) -> str:
        """Return everything that it printed so far. Empty if it prints to the terminal."""

    @abstractmethod
    def exit_status(self) -> int | None:
        """Return how it ended: its exit status, or 128 + n if signal n killed it. None while it runs."""

    @abstractmethod
    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """Stop it as SageMaker does, by SIGTERM, if it still runs; return its exit status.

        Raises:
            ContainerError: it did not end within `seconds`, and was killed.
        """

    @abstractmethod
    def kill(self) -> None:
        """End it at once, as SageMaker does when it takes too long to stop."""

    @abstractmethod
    def close(self) -> None:
        """End it if it still runs, and remove what it leaves behind."""

    def __enter__(self: Self) -> Self:
        """Return the container itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def last_output(self) -> str:
        """Return the last lines that it printed."""
        return "\n".join(self.output().splitlines()[-LAST_LINES:])

    def ping(self, seconds: float = 5.0) -> int | None:
        """Return the status of `/ping`, or None if there is no response within `seconds`."""
        address = urlsplit(self.url)
        with closing(HTTPConnection(str(address.hostname), address.port, timeout=seconds)) as connection:
            try:
                connection.request("GET", sagemaker.PING)
                return connection.getresponse().status
            except (OSError, HTTPException):
                return None

    def await_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until `/ping` returns 200.

        Raises:
            ContainerError: it ended, or was not ready within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while self.ping() != 200:
            status = self.exit_status()
            if status is not None:
                raise self.failure(f"{self.name} ended with status {status}")
            if time.monotonic() > deadline:
                raise self.failure(f"{self.name} was not ready after {seconds:g} s")
            time.sleep(POLL_SECONDS)

    def failure(self, message: str) -> ContainerError:
        """Return an error with the last output, if that was recorded."""
        output = self.last_output()
        return ContainerError(f"{message}; last output:\n{output}" if output else f"{message}: see its output above")
