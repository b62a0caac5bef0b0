"""The load generator: wrk, an event loop in C, so that what is measured is not the client."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Load", "LoadError", "Request", "post"]

SCRIPT = Path(__file__).with_name("post.lua")
STUCK_SECONDS = 30.0


class LoadError(RuntimeError):
    """wrk could not run, or not every request was answered with success. The message says which."""


@dataclass(frozen=True)
class Request:
    """A request that is sent again and again.

    Attributes:
        body: a file that holds the body.
        content_type: its media type.
    """

    body: Path
    content_type: str


@dataclass(frozen=True)
class Load:
    """What came of posting for a while.

    Attributes:
        per_second: answers a second.
        p50_ms, p99_ms: latency in milliseconds.
    """

    per_second: float
    p50_ms: float
    p99_ms: float


def post(url: str, request: Request, *, connections: int, seconds: int) -> Load:
    """Post as fast as answers come, over a number of connections.

    Raises:
        LoadError: wrk is not installed or failed, nothing was answered, or an answer was no success.
    """
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    arguments = ["--script", str(SCRIPT), url, "--", str(request.body), request.content_type]
    try:
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=seconds + STUCK_SECONDS)
    except FileNotFoundError as error:
        raise LoadError("wrk is not installed: apt-get install wrk") from error
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"wrk did not end within {error.timeout:g} s against {url}") from error
    if done.returncode != 0:
        raise LoadError(f"wrk ended with status {done.returncode} against {url}: {done.stdout}{done.stderr}")
    return parse(done.stdout, url)


def parse(output: str, url: str) -> Load:
    """Read the line of JSON that `post.lua` prints last.

    Raises:
        LoadError: nothing was answered, or an answer was no success.
    """
    result = json.loads(output.splitlines()[-1])
    if result["requests"] == 0 or result["refused"] or result["broken"]:
        raise LoadError(
            f"{url}: of {result['requests']} requests {result['refused']} were answered with an error "
            f"and {result['broken']} broke off"
        )
    return Load(result["requests"] / result["seconds"], result["p50_ms"], result["p99_ms"])
