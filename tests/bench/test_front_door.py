"""The benchmark of the front door, on two short rounds; and what it does when answers are no successes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from bench.front_door import Pair, summary
from bench.wrk import Load, LoadError, Request, parse, post
from tests.triton import ROOT, free_ports

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: apt-get install wrk")
URL = "http://127.0.0.1/invocations"


def pair(gateway: float, native: float) -> Pair:
    return Pair(Load(gateway, 1000 / gateway, 0), Load(native, 1000 / native, 0))


@needs_wrk
def test_last_line_is_json_with_the_three_figures() -> None:
    command = [sys.executable, "-m", "bench.front_door", "--rounds", "1", "--seconds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert list(figures) == ["small_json_throughput_ratio", "tensor_600kb_throughput_ratio", "p50_added_ms"]
    assert figures["small_json_throughput_ratio"] > 0
    assert figures["tensor_600kb_throughput_ratio"] > 0
    assert -1000 < figures["p50_added_ms"] < 1000


def test_summary_takes_medians_of_rounds() -> None:
    small = [pair(80, 100), pair(10, 100), pair(90, 100)]  # the second round was disturbed
    figures = summary(small, [pair(95, 100)], [pair(100, 200)])
    assert figures == {
        "small_json_throughput_ratio": 0.8,
        "tensor_600kb_throughput_ratio": 0.95,
        "p50_added_ms": 5.0,
    }


@pytest.mark.parametrize("counts", [(0, 0, 0), (100, 1, 0), (100, 0, 1)])
def test_a_run_with_failures_is_no_result(counts: tuple[int, int, int]) -> None:
    requests, refused, broken = counts
    line = {"requests": requests, "seconds": 1.0, "p50_ms": 1, "p99_ms": 1, "refused": refused, "broken": broken}
    with pytest.raises(LoadError, match=f"of {requests} requests {refused} were answered with an error"):
        parse(f"Running 1s test\n{json.dumps(line)}\n", URL)


@needs_wrk
def test_nobody_listening_is_an_error() -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}/"
    with pytest.raises(LoadError, match="against http"):
        post(url, Request(ROOT / "LICENSE", "text/plain"), connections=1, seconds=1)
