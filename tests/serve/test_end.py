"""The end of `serve` and of its children, with the real programs and real signals."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPException, HTTPResponse
from pathlib import Path

import psutil
import pytest

from byoc.container.processes import child, descendants, model_processes
from tests.serve.client import Response, connection, response_of, send, text_request
from tests.serve.conftest import make_base_dir
from tests.serve.processes import await_true, kill
from tests.serving import RunningServe, running_serve

CLIENTS = 6
HUNDREDS = 400
INSTANCES = 2  # of the model `probe`
BINARY = "application/vnd.sagemaker-triton.binary+json;json-header-size="


@pytest.fixture(params=["gateway", "app"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningServe]:
    """A server of this test's own, behind HAProxy and behind the app alone."""
    with running_serve(make_base_dir(tmp_path, "probe"), haproxy=request.param == "gateway") as serve:
        yield serve


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningServe]:
    """A server of this test's own behind HAProxy."""
    with running_serve(make_base_dir(tmp_path, "probe")) as serve:
        yield serve


def loop_until_refused(serve: RunningServe, asked: threading.Semaphore) -> list[int]:
    """Send requests, over one connection for as long as it is kept, until none is accepted; return their statuses.

    A connection that is closed without having said so in an answer, or that is accepted and not answered, has lost a
    request.
    """
    statuses = []
    while True:
        try:
            with connection(serve.port) as opened:
                opened.connect()
                while True:
                    opened.request("POST", "/invocations", text_request(seconds=0.2))
                    asked.release()
                    answer = response_of(opened.getresponse())
                    statuses.append(answer.status)
                    if answer.headers.get("Connection", "").lower() == "close":
                        break
        except ConnectionRefusedError:
            return statuses
        except (ConnectionError, HTTPException) as error:
            statuses.append(-1)
            raise AssertionError(f"request {len(statuses)} was accepted and not answered: {error!r}") from error


def test_sigterm_during_load_loses_no_accepted_request(either: RunningServe) -> None:
    """1. Six clients keep two instances busy over kept connections. 2. SIGTERM. 3. Each gets all of its answers."""
    asked = threading.Semaphore(0)
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(loop_until_refused, either, asked) for _ in range(CLIENTS)]
        for _ in range(3 * CLIENTS):
            assert asked.acquire(timeout=30)
        either.process.send_signal(signal.SIGTERM)
        statuses = [status for each in clients for status in each.result(60)]
    assert set(statuses) == {200}
    assert len(statuses) >= 3 * CLIENTS
    assert either.process.wait(10) == 0
    assert "Proxy sagemaker stopped" not in either.output()


def test_sigterm_with_hundreds_in_flight_loses_none(either: RunningServe, tmp_path: Path) -> None:
    """1. Two requests are worked on, hundreds wait behind them. 2. SIGTERM. 3. The model goes on; all are answered."""
    go = tmp_path / "go"
    with ExitStack() as stack:
        opened = [stack.enter_context(connection(either.port)) for _ in range(HUNDREDS)]
        for each in opened:
            each.request("POST", "/invocations", text_request(until=str(go)))
        await_true(lambda: waiting(either) >= HUNDREDS - INSTANCES, "all of them have reached Triton")
        either.process.send_signal(signal.SIGTERM)
        await_true(lambda: either.ping() is None, "new connections are refused", 3)
        assert either.process.poll() is None
        go.touch()
        assert [response_of(each.getresponse()).status for each in opened] == [200] * HUNDREDS
    assert either.process.wait(20) == 0


def waiting(serve: RunningServe) -> float:
    """Return how many requests wait for an instance of a model."""
    found = re.search(r"^nv_inference_pending_request_count\{.*\} (\S+)$", metrics(serve), re.MULTILINE)
    return float(found[1]) if found else 0


def metrics(serve: RunningServe) -> str:
    return send(serve.port, "GET", "/metrics").body.decode()


@pytest.mark.parametrize("content_type", ["application/json", f"{BINARY}0"], ids=["JSON", "raw"])
def test_sigterm_within_a_body(either: RunningServe, content_type: str) -> None:
    body = text_request("x" * 100_000) if content_type == "application/json" else b"x" * 100_000
    with closing(socket.create_connection(("127.0.0.1", either.port), 30)) as opened:
        head = f"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\n"
        opened.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:50_000])
        # What was sent on another connection later has been answered, so this one has been accepted.
        assert send(either.port, "GET", "/ping").status == 200
        either.process.send_signal(signal.SIGTERM)
        await_true(lambda: either.ping() is None, "new connections are refused", 3)
        opened.sendall(body[50_000:])
        response = HTTPResponse(opened)
        response.begin()
        assert (response.status, b"x" * 100_000 in response.read()) == (200, True)
    assert either.process.wait(20) == 0


@pytest.fixture(params=["gateway", "app"])
def streaming(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningServe]:
    """A server of this test's own whose model streams, behind HAProxy and behind the app alone."""
    environment = {"SAGEMAKER_TRITON_INFERENCE_TYPE": "generate_stream"}
    with running_serve(make_base_dir(tmp_path, "tokens"), environment, haproxy=request.param == "gateway") as serve:
        yield serve


def test_sigterm_within_a_stream(streaming: RunningServe, tmp_path: Path) -> None:
    with connection(streaming.port) as opened:
        opened.request("POST", "/invocations", stream_request(tmp_path))
        response = opened.getresponse()
        assert b'"one"' in response.readline()
        streaming.process.send_signal(signal.SIGTERM)
        await_true(lambda: streaming.ping() is None, "new connections are refused", 3)
        for number in ("0", "1"):
            (tmp_path / number).touch()
        assert b'"two"' in response.read()
    assert streaming.process.wait(20) == 0


# With a header of SageMaker's the stream passes through the app behind HAProxy as well.
@pytest.mark.parametrize("header", ["", "X-Amzn-SageMaker-Inference-Id: abc\r\n"], ids=["plain", "header"])
def test_a_stream_that_loses_tritonserver_is_cut_short(streaming: RunningServe, tmp_path: Path, header: str) -> None:
    """The status is already sent, so only a truncated body can signal the failure."""
    body = stream_request(tmp_path)
    with closing(socket.create_connection(("127.0.0.1", streaming.port), 30)) as opened:
        head = f"POST /invocations HTTP/1.1\r\nHost: a\r\n{header}Content-Length: {len(body)}\r\n\r\n"
        opened.sendall(head.encode() + body)
        received = opened.recv(65536)
        while b'"one"' not in received:
            received += opened.recv(65536)
        kill(child(streaming, "tritonserver"))
        while chunk := opened.recv(65536):
            received += chunk
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"chunked" in received.lower()
    assert received.count(b"HTTP/1.1") == 1
    assert b"error" not in received
    assert not received.endswith(b"0\r\n\r\n")
    assert streaming.process.wait(20) == 128 + signal.SIGKILL
    through_the_app = header or "HAProxy is not installed" in streaming.output()
    assert streaming.output().count("closed the connection in the middle of its response") == (
        1 if through_the_app else 0
    )


def stream_request(confirmations: Path) -> bytes:
    return json.dumps({"text": "one two", "confirmations": str(confirmations)}).encode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_long_request_is_finished_and_new_ones_are_refused(gateway: RunningServe, number: signal.Signals) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = start_request(pool, gateway, seconds=3)
        gateway.process.send_signal(number)
        await_true(lambda: gateway.ping() is None, "new connections are refused", 3)
        gateway.process.send_signal(signal.SIGTERM)  # a second one changes nothing
        gateway.process.send_signal(signal.SIGINT)
        assert answer.result(10).status == 200
    assert gateway.process.wait(10) == 0
    assert gateway.output().count("finishing requests in flight") == 1


def test_an_idle_server_stops_at_once(either: RunningServe) -> None:
    with connection(either.port) as idle:
        idle.request("GET", "/ping")
        idle.getresponse().read()
        started = time.monotonic()
        assert either.stop() == 0
    assert time.monotonic() - started < 10


def test_sigterm_while_the_models_load(tmp_path: Path) -> None:
    with running_serve(make_base_dir(tmp_path, "probe"), await_ready=False) as serve:
        await_true(lambda: descendants(serve), "tritonserver has started")
        assert serve.stop() == 0


@pytest.mark.parametrize("name", ["app", "haproxy"])
def test_a_front_end_that_dies_is_started_again(gateway: RunningServe, name: str) -> None:
    before = child(gateway, name)
    kill(before)
    before.wait(10)
    gateway.await_ready()
    assert child(gateway, name).pid != before.pid
    assert send(gateway.port, body=text_request()).status == 200
    assert f"serve: {name} was killed by SIGKILL; last output:" in gateway.output()
    assert gateway.stop() == 0


def test_the_app_that_serves_alone_is_started_again(tmp_path: Path) -> None:
    with running_serve(make_base_dir(tmp_path, "probe"), haproxy=False) as serve:
        before = child(serve, "app")
        kill(before)
        before.wait(10)
        serve.await_ready()
        assert send(serve.port, body=text_request()).status == 200


def test_requests_in_flight_outlive_the_app(gateway: RunningServe) -> None:
    """Requests that Triton understands bypass the app."""
    with ThreadPoolExecutor(1) as pool:
        answer = start_request(pool, gateway, seconds=2)
        kill(child(gateway, "app"))
        assert answer.result(10).status == 200


def test_a_front_end_that_keeps_dying_ends_serve(gateway: RunningServe) -> None:
    def app_or_none() -> psutil.Process | None:
        try:
            return child(gateway, "app")
        except LookupError:
            return None

    for _ in range(5):
        await_true(lambda: app_or_none() or gateway.process.poll() is not None, "the app runs again")
        app = app_or_none()
        assert app is not None
        kill(app)
        app.wait(10)
    assert gateway.process.wait(20) == 1
    assert "app died 5 times within 60 s: giving up" in gateway.output()


def test_the_end_of_tritonserver_is_the_end(either: RunningServe) -> None:
    everything = descendants(either)
    kill(child(either, "tritonserver"))
    assert either.process.wait(20) == 128 + signal.SIGKILL
    assert "serve: tritonserver was killed by SIGKILL; last output:" in either.output()
    assert either.output().splitlines()[-1] == "serve: exited with status 137"
    assert_ended(everything)


def test_a_request_that_loses_tritonserver_is_told(either: RunningServe) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = start_request(pool, either, seconds=20)
        kill(child(either, "tritonserver"))
        lost = answer.result(20)
    assert lost.status == 502
    assert "closed the connection before it answered" in lost.error()


def test_nothing_outlives_serve(gateway: RunningServe) -> None:
    everything = descendants(gateway)
    assert len(model_processes(gateway)) == 2
    gateway.process.kill()
    gateway.process.wait()
    assert_ended(everything)


def start_request(pool: ThreadPoolExecutor, serve: RunningServe, seconds: float) -> Future[Response]:
    """Return once a model works on a request."""
    working = Path(serve.environment["SAGEMAKER_BASE_DIR"]) / "working"
    answer = pool.submit(send, serve.port, body=text_request(working=str(working), seconds=seconds))
    await_true(working.exists, "the model works on the request")
    return answer


def assert_ended(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []
