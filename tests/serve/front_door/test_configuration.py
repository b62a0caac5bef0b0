"""HAProxy's configuration, in the real HAProxy. test_invocations.py and others test routing."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from serve.front_door import ServedModel, render
from serve.front_door.configuration import ERRORS
from tests.serve.client import Response, kserve, send, send_bytes
from tests.serve.front_door.conftest import Run, front_door, tenant_maps
from tests.serve.processes import await_true

START = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"


@pytest.mark.parametrize("inference_type", ["infer", "generate", "generate_stream"])
@pytest.mark.parametrize("model", ["resnet", "a b'c\"d#e%f", "größe", None])
def test_haproxy_reads_it_without_a_warning(tmp_path: Path, inference_type: str, model: str | None) -> None:
    path = tmp_path / "haproxy.cfg"
    serves = tenant_maps(tmp_path) if model is None else ServedModel(model)
    path.write_text(render(front_door(tmp_path, inference_type=inference_type, serves=serves)))
    checked = subprocess.run(["haproxy", "-c", "-f", str(path)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_haproxys_own_errors_are_json(tmp_path: Path) -> None:
    rule = re.compile(r"^ +http-error status (\d+) content-type application/json string '([^']*)'$", re.MULTILINE)
    found = {int(status): json.loads(body) for status, body in rule.findall(render(front_door(tmp_path)))}
    assert found == {status: {"error": message} for status, message in ERRORS.items()}


def refusal(answer: Response) -> tuple[int, str]:
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
        made = run(triton=f"127.0.0.1:{deaf.getsockname()[1]}", answer_seconds=1)
        assert refusal(send(made.port, body=kserve("text", "hello"))) == (504, ERRORS[504])


@pytest.mark.parametrize("header", [b"Content-Length: 4", b"Transfer-Encoding: chunked"], ids=["length", "chunked"])
def test_an_answer_may_take_longer_than_a_body(run: Run, header: bytes) -> None:
    """A response may pause longer than a body, before it starts and between its parts."""
    parts = [b"ab", b"cd"] if b"Length" in header else [b"2\r\nab\r\n", b"2\r\ncd\r\n0\r\n\r\n"]
    body = kserve("text", "hello")
    with closing(socket.create_server(("127.0.0.1", 0))) as triton, ThreadPoolExecutor(1) as pool:
        made = run(triton=f"127.0.0.1:{triton.getsockname()[1]}", body_seconds=1)
        answer = pool.submit(send, made.port, body=body)
        accepted, _ = triton.accept()
        with closing(accepted):
            read_until(accepted, body)
            for part in (b"HTTP/1.1 200 OK\r\n" + header + b"\r\n\r\n", *parts):
                time.sleep(1.5)  # longer than body_seconds: the time is what is tested
                accepted.sendall(part)
            assert (answer.result(10).status, answer.result().body) == (200, b"abcd")


def test_the_path_that_triton_gets(run: Run) -> None:
    """A model's name is quoted; a caller's header of that name is not passed on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as triton:
        made = run(triton=f"127.0.0.1:{triton.getsockname()[1]}")
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


def test_the_log_has_a_line_for_each_failure_and_none_for_others(run: Run, tmp_path: Path) -> None:
    made = run()  # with nobody behind it
    headers = {"X-Amzn-SageMaker-Inference-Id": "abc"}
    assert send(made.port, "GET", "/ping").status == 503
    assert send(made.port, body=kserve("text", "hello"), headers=headers).status == 503
    with closing(socket.create_connection(("127.0.0.1", made.port))):
        pass  # sends nothing
    assert send(made.port, body=kserve("text", "last"), headers=headers).status == 503
    log = tmp_path / "log"
    await_true(lambda: log.read_text().count("\n") >= 2, "the log has a line for each failure")
    line = r"POST /invocations: 503 after \d+ ms, inference id abc, model resnet%2050, ended by \w+"
    assert re.fullmatch(f"({line}\n){{2}}", log.read_text())
