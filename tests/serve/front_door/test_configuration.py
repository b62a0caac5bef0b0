"""HAProxy's configuration, read by the real HAProxy. Where its routes lead, test_invocations.py and others ask."""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from serve.front_door import FrontDoor, render
from serve.front_door.configuration import ERRORS
from tests.serve.client import Answer, kserve, send, send_bytes
from tests.serve.processes import await_true
from tests.triton import free_ports

Run = Callable[..., FrontDoor]

START = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"


def front_door(directory: Path, **changes: object) -> FrontDoor:
    port, triton_port = free_ports(2)
    (directory / "tenants.map").touch()
    made = FrontDoor(
        port=port,
        triton_port=triton_port,
        model="resnet 50",
        inference_type="infer",
        app_socket=directory / "app.sock",
        metrics_socket=directory / "metrics.sock",
        admin_socket=directory / "haproxy.sock",
        tenant_table=directory / "tenants.map",
        drain_seconds=5,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Returns a function: changes → a front door with these, that a real HAProxy runs, with nobody behind it."""
    program = shutil.which("haproxy")
    if program is None:
        pytest.fail("HAProxy is not installed: run `make setup`")
    with ExitStack() as stack:

        def start(**changes: object) -> FrontDoor:
            made = front_door(tmp_path, **changes)
            (tmp_path / "haproxy.cfg").write_text(render(made))
            command = [program, "-db", "-q", "-f", str(tmp_path / "haproxy.cfg")]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL))
            stack.callback(process.terminate)
            await_true(lambda: listens(made.port), "HAProxy listens")
            return made

        yield start


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("inference_type", ["infer", "generate", "generate_stream"])
@pytest.mark.parametrize("model", ["resnet", "a b'c\"d#e%f", "größe", None])
def test_haproxy_reads_it_without_a_warning(tmp_path: Path, inference_type: str, model: str | None) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text(render(front_door(tmp_path, inference_type=inference_type, model=model)))
    checked = subprocess.run(["haproxy", "-c", "-f", str(path)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_haproxys_own_errors_are_json() -> None:
    for message in ERRORS.values():
        assert "'" not in message
        assert json.loads(json.dumps({"error": message}))


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.error()


def test_nobody_behind_it(run: Run) -> None:
    made = run()
    assert refusal(send(made.port, body=kserve("text", "hello"))) == (503, ERRORS[503])
    assert refusal(send(made.port, "GET", "/ping")) == (503, ERRORS[503])


def test_a_body_that_does_not_arrive_in_time(run: Run) -> None:
    made = run(body_seconds=1)
    assert refusal(send_bytes(made.port, START + b'{"inputs"')) == (408, ERRORS[408])


def test_a_server_that_does_not_answer_in_time(run: Run) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
        made = run(triton_port=deaf.getsockname()[1], answer_seconds=1)
        assert refusal(send(made.port, body=kserve("text", "hello"))) == (504, ERRORS[504])


def test_the_path_that_triton_gets(run: Run) -> None:
    """A model's name is quoted; a caller's header of that name is not passed on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as triton:
        made = run(triton_port=triton.getsockname()[1])
        with closing(socket.create_connection(("127.0.0.1", made.port))) as client:
            body = kserve("text", "hello")
            client.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: a\r\nInference-Header-Content-Length: 7\r\n"
                b"X-Amzn-SageMaker-Inference-Id: abc\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            accepted, _ = triton.accept()
            with closing(accepted):
                head, _, received = read_until(accepted, body).partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /v2/models/resnet%2050/infer http/1.1"
    assert "x-amzn-sagemaker-inference-id: abc" in lines
    assert not any(line.startswith("inference-header") for line in lines)
    assert received == body


def read_until(connection: socket.socket, end: bytes) -> bytes:
    connection.settimeout(10)
    received = b""
    while not received.endswith(end):
        received += connection.recv(65536)
    return received
