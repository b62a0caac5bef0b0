"""`/metrics`: Triton's and HAProxy's metrics as one Prometheus page."""

from __future__ import annotations

import asyncio

import aiohttp

from serve.app.options import AppOptions, BehindHAProxy

__all__ = ["CONTENT_TYPE", "collect"]

CONTENT_TYPE = "text/plain; version=0.0.4"
SECONDS = aiohttp.ClientTimeout(total=5)


async def collect(options: AppOptions) -> str:
    """Return both pages, one after the other; their metrics have different prefixes (`nv_`, `haproxy_`).

    Raises:
        aiohttp.ClientError, TimeoutError: one of them can't be read.
    """
    pages = [_get(aiohttp.TCPConnector(), options.triton_metrics)]
    if isinstance(options.listen, BehindHAProxy):
        pages.append(_get(aiohttp.UnixConnector(options.listen.metrics_socket), "http://haproxy/metrics"))
    return "".join(f"{page.rstrip()}\n" for page in await asyncio.gather(*pages))


async def _get(connector: aiohttp.BaseConnector, url: str) -> str:
    async with aiohttp.ClientSession(connector=connector, timeout=SECONDS) as session, session.get(url) as response:
        response.raise_for_status()
        return await response.text()
