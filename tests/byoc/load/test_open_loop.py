"""The open loop: it keeps its rate while responses stall, and counts the wait."""

from __future__ import annotations

import time

import pytest

from byoc.errors import LoadError
from byoc.load import open_loop
from byoc.load.latencies import Latencies, Timing, percentiles
from byoc.load.request import Request
from tests.byoc.load.server import Received, Server, serving
from tests.triton import free_ports

CONNECTING = open_loop.CONNECTIONS  # so many requests open the connections, and are not measured


def request(server: Server) -> Request:
    return Request(server.url, {"Content-Type": "x/y"}, b"body")


def test_every_request_has_a_timing_even_behind_a_stall() -> None:
    """1. 40 requests at 100 a second. 2. Number 10 takes a second. 3. All the others are sent when they are due."""
    stalled = CONNECTING + 10

    def respond(number: int) -> int:
        if number == stalled:
            time.sleep(1)
        return 200

    with serving(respond) as server, open_loop.client_process() as client:
        timings = client.submit(open_loop.run, request(server), 100, 0.4).result()
    assert set(server.received) == {Received("x/y", b"body")}
    assert (len(timings), len(server.received)) == (40, CONNECTING + 40)
    assert max(timing.latency for timing in timings) >= 1
    assert sorted(timing.latency for timing in timings)[-2] < 1


def test_an_error_status_is_an_error_in_the_callers_process_too() -> None:
    with (
        serving(lambda number: 200 if number <= CONNECTING else 503) as server,
        open_loop.client_process() as client,
        pytest.raises(LoadError, match="returned 503: b'said'"),
    ):
        client.submit(open_loop.run, request(server), 100, 0.1).result()


def test_nobody_listening_is_an_error() -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}/"
    with pytest.raises(LoadError, match=f"{url}: ClientConnectorError"):
        open_loop.run(Request(url, {}, b""), 10, 0.1)


def test_a_percentile_is_the_latency_of_a_request() -> None:
    timings = [Timing(late=0.001, latency=number / 1000) for number in range(1, 1001)]
    assert percentiles(timings) == Latencies(1000, 501, 991, 1000, 1000, 1, 1)


def test_the_latency_of_one_request() -> None:
    assert percentiles([Timing(late=0, latency=0.002)]) == Latencies(1, 2, 2, 2, 2, 0, 0)
