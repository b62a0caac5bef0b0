"""Graceful shutdown of the app where it listens on the SageMaker port itself: no request is lost."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web
from aiohttp.typedefs import Handler

__all__ = ["Draining"]

# A client may send one more request on a kept-alive connection before it reads, in the response to the one before,
# that the connection closes. Once nothing has been in flight for this long, the open connections are idle.
QUIET_SECONDS = 0.5
POLL_SECONDS = 0.05


class Draining:
    """Counts the requests in flight of an application, and asks its clients to close their connections once it ends."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self._in_flight = 0
        self._last_end = 0.0
        self._ending = False

    def attach(self, app: web.Application) -> None:
        """Count the requests of an application that has not been started yet."""
        app.middlewares.append(self._count)
        app.on_response_prepare.append(self._close_connection)

    async def finish(self, seconds: float) -> bool:
        """Wait until no request has been in flight for a while; return whether that was so within `seconds`."""
        self._ending = True
        self._last_end = started = time.monotonic()
        while time.monotonic() - started < seconds and not self._quiet:  # noqa: ASYNC110 (being quiet is not an event)
            await asyncio.sleep(POLL_SECONDS)
        return not self._in_flight

    @property
    def _quiet(self) -> bool:
        return not self._in_flight and time.monotonic() - self._last_end >= QUIET_SECONDS

    @web.middleware
    async def _count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._in_flight += 1
        try:
            return await handler(request)
        finally:
            self._in_flight -= 1
            self._last_end = time.monotonic()

    async def _close_connection(self, request: web.Request, response: web.StreamResponse) -> None:
        if self._ending:
            response.headers["Connection"] = "close"
            response.force_close()
