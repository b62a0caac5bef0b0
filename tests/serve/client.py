"""HTTP as SageMaker and its clients send it, down to the bytes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPResponse
from typing import Any

__all__ = ["Response", "connection", "kserve", "response_of", "send", "send_bytes", "text_request"]

SECONDS = 60


@dataclass(frozen=True)
class Response:
    status: int
    headers: Message
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "")

    def json(self) -> Any:
        return json.loads(self.body)

    def error(self) -> str:
        """Return the message of an error, which must be JSON and say so."""
        assert self.content_type.partition(";")[0] == "application/json", (self.content_type, self.body)
        content = self.json()
        assert list(content) == ["error"], content
        assert isinstance(content["error"], str)
        assert content["error"]
        return content["error"]


@contextmanager
def connection(port: int, seconds: float = SECONDS) -> Iterator[HTTPConnection]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=seconds)) as opened:
        yield opened


def send(
    port: int,
    method: str = "POST",
    path: str = "/invocations",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
) -> Response:
    """Send one request on a connection of its own."""
    with connection(port, seconds) as opened:
        opened.request(method, path, body, dict(headers or {}))
        return response_of(opened.getresponse())


def send_bytes(port: int, data: bytes, *, end: bool = False, seconds: float = SECONDS) -> Response:
    """Send raw bytes, which needn't be valid HTTP; `end` then half-closes the connection, like a dying client."""
    with closing(socket.create_connection(("127.0.0.1", port), seconds)) as opened:
        opened.sendall(data)
        if end:
            opened.shutdown(socket.SHUT_WR)
        response = HTTPResponse(opened)
        with closing(response):
            response.begin()
            return response_of(response)


def kserve(name: str, *data: object, data_type: str = "BYTES", shape: tuple[int, ...] = (1,), **more: object) -> bytes:
    """Return a KServe request in JSON with one input."""
    tensor = {"name": name, "shape": list(shape), "datatype": data_type, "data": list(data)}
    return json.dumps({"inputs": [tensor], **more}).encode()


def text_request(text: str = "hello", **parameters: object) -> bytes:
    """Return a request for the model `probe`."""
    return kserve("text", text, parameters=parameters) if parameters else kserve("text", text)


def response_of(response: HTTPResponse) -> Response:
    return Response(response.status, response.headers, response.read())
