"""The benchmark of the front door, on one short round."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from bench.front_door import Pair, summary
from byoc.load.closed_loop import Throughput
from tests.triton import ROOT

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: apt-get install wrk")


def pair(gateway: float, native: float) -> Pair:
    return Pair(Throughput(gateway, 1000 / gateway, 0), Throughput(native, 1000 / native, 0))


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
