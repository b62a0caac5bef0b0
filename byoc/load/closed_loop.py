"""Closed loop: send requests as fast as responses come, and measure throughput.

The client is wrk, an event loop in C: what is measured is the endpoint, not the client.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from byoc.errors import LoadError
from byoc.load.request import Request

__all__ = ["Throughput", "parse", "run"]

SCRIPT = Path(__file__).with_name("post.lua")
STUCK_SECONDS = 30.0


@dataclass(frozen=True)
class Throughput:
    """The result of a run.

    Attributes:
        per_second: responses a second.
        p50_ms, p99_ms: latency in milliseconds.
    """

    per_second: float
    p50_ms: float
    p99_ms: float


def run(request: Request, *, connections: int, seconds: int) -> Throughput:
    """Send for `seconds` over a number of connections.

    Raises:
        LoadError: wrk is not installed or failed, there was no response, or one had an error status.
    """
    with tempfile.NamedTemporaryFile(prefix="load-") as body:
        body.write(request.body)
        body.flush()
        command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
        headers = [text for header in request.headers.items() for text in header]
        arguments = ["--script", str(SCRIPT), request.url, "--", body.name, *headers]
        return parse(_output([*command, *arguments], request.url, seconds + STUCK_SECONDS), request.url)


def _output(command: list[str], url: str, seconds: float) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except FileNotFoundError as error:
        raise LoadError("wrk is not installed", "Run `apt-get install wrk`.") from error
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"wrk did not end within {seconds:g} s against {url}") from error
    if done.returncode != 0:
        raise LoadError(f"wrk ended with status {done.returncode} against {url}: {done.stdout}{done.stderr}")
    return done.stdout


def parse(output: str, url: str) -> Throughput:
    """Read the line of JSON that `post.lua` prints last.

    Raises:
        LoadError: there was no response, or one had an error status.
    """
    result = json.loads(output.splitlines()[-1])
    if result["requests"] == 0 or result["refused"] or result["broken"]:
        raise LoadError(
            f"{url}: of {result['requests']} requests {result['refused']} were answered with an error "
            f"and {result['broken']} were cut off"
        )
    return Throughput(result["requests"] / result["seconds"], result["p50_ms"], result["p99_ms"])
