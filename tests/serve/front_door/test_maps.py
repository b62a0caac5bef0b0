"""What the tenant map and the memory flag write into HAProxy's maps, and what HAProxy makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from serve.front_door.live_map import HAProxyMap
from serve.front_door.memory_flag import MemoryFlag
from serve.front_door.tenant_map import TenantMap
from tests.serve.client import kserve, send
from tests.serve.front_door.conftest import Run, tenant_maps


class Entries:
    """A map in our own memory."""

    def __init__(self) -> None:
        self.now: dict[str, str] = {}

    async def replace(self, entries: Mapping[str, str]) -> None:
        self.now = dict(entries)

    async def add(self, key: str, value: str) -> None:
        self.now[key] = value

    async def remove(self, key: str) -> None:
        self.now.pop(key, None)


def test_a_name_that_needs_quoting_is_left_to_the_app() -> None:
    async def change() -> None:
        entries = Entries()
        tenants = TenantMap(entries)
        await tenants.add("a", "entry-a")
        await tenants.add("not safe", "entry-b")
        assert entries.now == {"a": "entry-a"}
        await tenants.replace({"c": "entry-c", "größe": "entry-d", "/": "entry-e"})
        assert entries.now == {"c": "entry-c"}
        await tenants.remove("c")
        assert entries.now == {}

    asyncio.run(change())


class Dying(BaseHTTPRequestHandler):
    """Answers as Triton does for a model whose process has died."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"error":"Stub process \'a_0_0\' is not healthy."}'
        self.send_response(500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def dying() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Dying) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_while_the_flag_is_set_a_dead_process_is_missing_memory(run: Run, dying: str, tmp_path: Path) -> None:
    maps = tenant_maps(tmp_path)
    made = run(serves=maps, triton=dying)

    def status() -> int:
        return send(made.port, path="/models/a/invoke", body=kserve("text", "hello")).status

    async def change() -> list[int]:
        tenants = TenantMap(HAProxyMap(maps.tenants, made.admin_socket))
        flag = MemoryFlag(HAProxyMap(maps.memory, made.admin_socket))
        await tenants.add("a", "entry-a")
        seen = [await asyncio.to_thread(status)]
        await flag.set()
        await tenants.replace({"a": "entry-a"})
        seen.append(await asyncio.to_thread(status))
        await flag.clear()
        return [*seen, await asyncio.to_thread(status)]

    assert asyncio.run(change()) == [500, 507, 500]
