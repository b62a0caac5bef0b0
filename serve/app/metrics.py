"""`/metrics`: Triton's and HAProxy's metrics as one Prometheus page."""

from __future__ import annotations

import asyncio

import aiohttp

from serve.app.options import AppOptions

__all__ = ["CONTENT_TYPE", "collect"]

CONTENT_TYPE = "text/plain; version=0.0.4"
SECONDS = aiohttp.ClientTimeout(total=5)


async def collect(options: AppOptions, session: aiohttp.ClientSession) -> str:
    """Return both pages, one after the other; their metrics have different prefixes (`nv_`, `haproxy_`).

    Raises:
        aiohttp.ClientError, TimeoutError: one of them does not answer.
    """
    pages = [_get(session, options.triton_metrics)]
    if options.haproxy_metrics is not None:
        pages.append(_get_from_socket(options.haproxy_metrics))
    return "".join(f"{page.rstrip()}\n" for page in await asyncio.gather(*pages))


async def _get(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url, timeout=SECONDS) as response:
        response.raise_for_status()
        return await response.text()


async def _get_from_socket(path: str) -> str:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:
        return await _get(session, "http://haproxy/metrics")
