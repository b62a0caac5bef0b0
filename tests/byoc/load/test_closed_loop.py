"""The closed loop: what it sends, and when its figures are none."""

from __future__ import annotations

import json
import shutil

import pytest

from byoc.errors import LoadError
from byoc.load.closed_loop import parse, run
from byoc.load.request import Request
from tests.byoc.load.server import Received, serving
from tests.triton import free_ports

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: apt-get install wrk")
URL = "http://127.0.0.1/invocations"


@needs_wrk
def test_sends_body_and_headers_and_counts_responses() -> None:
    body = bytes(range(256))
    with serving() as server:
        result = run(Request(server.url, {"Content-Type": "x/y; z=1"}, body), connections=2, seconds=1)
    assert set(server.received) == {Received("x/y; z=1", body)}
    assert 1 < result.per_second <= len(server.received)
    assert 0 < result.p50_ms <= result.p99_ms < 1000


@needs_wrk
def test_an_error_status_is_an_error() -> None:
    with (
        serving(lambda number: 200 if number % 5 else 503) as server,
        pytest.raises(LoadError, match=rf"{server.url}: of \d+ requests [1-9]\d* were answered with an error"),
    ):
        run(Request(server.url, {"Content-Type": "text/plain"}, b"x"), connections=1, seconds=1)


@pytest.mark.parametrize("counts", [(0, 0, 0), (100, 1, 0), (100, 0, 1)])
def test_a_run_with_failures_has_no_result(counts: tuple[int, int, int]) -> None:
    requests, refused, broken = counts
    line = {"requests": requests, "seconds": 1.0, "p50_ms": 1, "p99_ms": 1, "refused": refused, "broken": broken}
    with pytest.raises(LoadError, match=f"of {requests} requests {refused} were answered with an error"):
        parse(f"Running 1s test\n{json.dumps(line)}\n", URL)


@needs_wrk
def test_nobody_listening_is_an_error() -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}/"
    with pytest.raises(LoadError, match="against http"):
        run(Request(url, {}, b"x"), connections=1, seconds=1)
