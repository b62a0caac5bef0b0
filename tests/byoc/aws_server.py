"""AWS for tests: moto's server over HTTP, with missing features added, calls recorded, and failures on demand."""

from __future__ import annotations

import io
import json
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from tests.byoc.aws_calls import Call, identify, refusal
from tests.byoc.sagemaker_lifecycle import Lifecycle, RefusedError

__all__ = ["AwsServer", "Fault", "running"]


@dataclass
class Fault:
    """A failure of one call.

    Attributes:
        call: its number since the server was reset, from 0; or the name of the operation that fails each time.
        when: `before` it had an effect, or `after`: the effect is there and the answer is lost.
        code: the AWS error code.
        message: what goes with it.
    """

    call: int | str
    when: Literal["before", "after"] = "before"
    code: str = "InjectedFailure"
    message: str = "injected by the test"


@dataclass
class AwsServer:
    """A running server.

    Attributes:
        url: what AWS_ENDPOINT_URL has to be.
        calls: every call since the last reset.
        fault: which of them fails.
        lifecycle: the course of endpoints.
    """

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    fault: Fault | None = None
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Empty the account."""
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")).close()
        self.lifecycle = Lifecycle()
        self.forget_calls()

    def forget_calls(self) -> None:
        """Reset the recorded calls and the fault."""
        self.calls, self.fault = [], None

    def operations(self) -> list[str]:
        """The recorded calls, as `service:Operation`."""
        return [str(call) for call in self.calls]

    def application(self, moto: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """The WSGI application: moto with these additions."""

        def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            call = identify(environ, body)
            if call is None:
                return moto(environ, start_response)
            with self._lock:
                fault = self._fault_of(call)
                self.calls.append(call)
            if fault and fault.when == "before":
                return _refuse(start_response, call, fault.code, fault.message)
            answered = self._answer(call, body, moto, environ, start_response if fault is None else _discard)
            return answered if fault is None else _refuse(start_response, call, fault.code, fault.message)

        return answer

    def _fault_of(self, call: Call) -> Fault | None:
        if self.fault is None or self.fault.call not in (len(self.calls), call.operation):
            return None
        return self.fault

    def _answer(
        self, call: Call, body: bytes, moto: Callable[..., Iterable[bytes]], environ: dict[str, Any], start: Any
    ) -> Iterable[bytes]:
        if call.service != "sagemaker" or call.operation.startswith("Invoke"):
            return list(moto(environ, start))
        request = json.loads(body)
        with self._lock:
            try:
                answer = self.lifecycle.before(call.operation, call.region, request)
            except RefusedError as error:
                return _refuse(start, call, "ValidationException", str(error))
            if answer is not None:
                return _respond(start, "200 OK", "application/x-amz-json-1.1", json.dumps(answer).encode())
            answered = list(moto(environ, start))
            self.lifecycle.after(call.operation, call.region, request)
            return answered


def _discard(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], None]:
    return lambda data: None


def _respond(start: Any, status: str, content_type: str, body: bytes) -> list[bytes]:
    start(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]


def _refuse(start: Any, call: Call, code: str, message: str) -> list[bytes]:
    # botocore answers a 400 to HeadObject with a search for the bucket's region, and a second try.
    status = "403 Forbidden" if "Denied" in code or call.service == "s3" else "400 Bad Request"
    return _respond(start, status, *refusal(call, code, message))


@contextmanager
def running() -> Iterator[AwsServer]:
    """A server on a free port, while the block runs."""
    aws = AwsServer()
    application = aws.application(DomainDispatcherApplication(create_backend_app))
    server: BaseWSGIServer = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    aws.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield aws
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
