"""Talking to tritonserver over HTTP: health, readiness, configurations."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import aiohttp

from serve.repository import ModelConfig, config_from_triton

__all__ = ["TritonClient", "UnreachableError", "open_session"]

SOCKET_PREFIX = "unix@"


class UnreachableError(ConnectionError):
    """tritonserver did not answer.

    Args:
        message: why.
        refused: nothing listens, or the connection was closed: it is starting, ending or gone. Else it is busy.
    """

    def __init__(self, message: str, *, refused: bool) -> None:
        """Keep the message, and whether the connection was refused."""
        super().__init__(message)
        self.refused = refused


def open_session(address: str) -> aiohttp.ClientSession:
    """Return a session for Triton's HTTP front end. It has no limits: the front door and Triton have theirs.

    Args:
        address: where it listens, `unix@/path` or `127.0.0.1:8000`. The URLs of the session are paths.
    """
    forever = aiohttp.ClientTimeout(total=None)
    if address.startswith(SOCKET_PREFIX):
        connector = aiohttp.UnixConnector(address.removeprefix(SOCKET_PREFIX), limit=0)
        return aiohttp.ClientSession("http://tritonserver", connector=connector, timeout=forever)
    return aiohttp.ClientSession(f"http://{address}", connector=aiohttp.TCPConnector(limit=0), timeout=forever)


class TritonClient:
    """Triton's HTTP front end.

    Args:
        session: the connections to use, from `open_session`.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """Keep the session, which the caller closes."""
        self._session = session

    def model_url(self, model: str, endpoint: str) -> str:
        """Return the path of a model's endpoint, such as `infer`."""
        return f"/v2/models/{quote(model, safe='')}/{endpoint}"

    async def is_live(self, seconds: float) -> bool:
        """Tell whether the server is alive. Raises UnreachableError without an answer within `seconds`."""
        return await self._is_ok("/v2/health/live", seconds)

    async def is_server_ready(self, seconds: float) -> bool:
        """Tell whether the server is ready. Raises UnreachableError without an answer within `seconds`."""
        return await self._is_ok("/v2/health/ready", seconds)

    async def is_ready(self, model: str, seconds: float) -> bool:
        """Tell whether a model is ready. Raises UnreachableError without an answer within `seconds`."""
        return await self._is_ok(self.model_url(model, "ready"), seconds)

    async def configuration(self, model: str, seconds: float) -> ModelConfig:
        """Return a ready model's configuration, completed by Triton.

        Raises:
            UnreachableError: no configuration within `seconds`.
        """
        url = self.model_url(model, "config")
        try:
            async with self._session.get(url, timeout=aiohttp.ClientTimeout(total=seconds)) as response:
                response.raise_for_status()
                return config_from_triton(await response.json(content_type=None))
        except (aiohttp.ClientError, asyncio.TimeoutError, ValueError) as error:
            raise _unreachable(error) from error

    async def _is_ok(self, url: str, seconds: float) -> bool:
        try:
            async with self._session.get(url, timeout=aiohttp.ClientTimeout(total=seconds)) as response:
                return response.status == 200
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            raise _unreachable(error) from error


def _unreachable(error: Exception) -> UnreachableError:
    refused = isinstance(error, aiohttp.ClientConnectionError) and not isinstance(error, asyncio.TimeoutError)
    return UnreachableError(str(error) or type(error).__name__, refused=refused)
