"""The end of the app where it is the front door itself: no request that a client has sent is lost."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web
from aiohttp.typedefs import Handler

__all__ = ["Draining"]

# A client may send one more request on a kept connection before it learns, from the answer, that there will be no
# other. Once nothing has been in flight for this long, the connections that are still open are idle.
QUIET_SECONDS = 0.5
POLL_SECONDS = 0.05


class Draining:
    """Counts the requests in flight of an application, and asks its clients to go once it ends.

    Args:
        app: the application, before it starts.
    """

    def __init__(self, app: web.Application) -> None:
        """Watch the application."""
        self._in_flight = 0
        self._last_end = 0.0
        self._ending = False
        app.middlewares.append(self._count)
        app.on_response_prepare.append(self._say_goodbye)

    async def finish(self, seconds: float) -> bool:
        """Wait until the clients have gone quiet; return whether they have within `seconds`."""
        self._ending = True
        self._last_end = started = time.monotonic()
        while time.monotonic() - started < seconds and not self._quiet:  # noqa: ASYNC110 (quiet is no event)
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

    async def _say_goodbye(self, request: web.Request, response: web.StreamResponse) -> None:
        if self._ending:
            response.headers["Connection"] = "close"
            response.force_close()
