"""A server whose responses a test chooses, for as long as a `with` block lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

__all__ = ["Received", "Server", "serving"]


@dataclass(frozen=True)
class Received:
    """A request that has come."""

    content_type: str
    body: bytes


@dataclass
class Server:
    """A running server, and what it has received."""

    url: str
    received: list[Received] = field(default_factory=list)


@contextmanager
def serving(respond: Callable[[int], int] = lambda _: 200) -> Iterator[Server]:
    """Answer every POST: the number of the request, from 1 → the status of its response."""
    running, turn = Server(""), Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with turn:
                running.received.append(Received(self.headers["Content-Type"], body))
                number = len(running.received)
            self.send_response(respond(number))
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"said")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        running.url = f"http://127.0.0.1:{server.server_port}/invocations"
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
