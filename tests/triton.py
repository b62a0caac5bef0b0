"""Run the real tritonserver on free ports for as long as a `with` block lasts."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from byoc.container.ports import is_free, reserved_ports

ROOT = Path(__file__).parents[1]
TRITON = ROOT / "build" / "tritonserver"
READY_SECONDS = 120.0  # a cold start with DALI and onnxruntime takes 5; more where other tests have the CPUs
STOP_SECONDS = 30.0
# Below the range of outgoing connections, which could take a port first. byoc.container.ports and `serve` use others.
PORTS = range(12000, 20000)


class TritonServerError(RuntimeError):
    """tritonserver is not built, did not become ready, or did not stop. The message includes its output."""


@dataclass(frozen=True)
class RunningTritonServer:
    """A tritonserver that is ready. Addresses are `host:port`, as tritonclient takes them."""

    http: str
    grpc: str
    metrics: str
    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        """Return everything it has printed so far."""
        return self.log.read_text(errors="replace")


def free_ports(count: int) -> list[int]:
    """Return different TCP ports that are free, chosen at random.

    Raises:
        TritonServerError: there are fewer.
    """
    # Each worker of pytest-xdist has its own share: a port that one has found free may be used much later.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = PORTS[worker :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    found = list(islice(filter(is_free, random.sample(own, len(own))), count))
    if len(found) < count:
        raise TritonServerError(f"fewer than {count} free ports between {PORTS[0]} and {PORTS[-1]}")
    return found


@contextmanager
def running_tritonserver(
    repository: Path, *arguments: str, ready_seconds: float = READY_SECONDS
) -> Iterator[RunningTritonServer]:
    """Serve `repository` with the given extra arguments; its models are ready when the block starts.

    Without `--model-control-mode` among the arguments every model of the repository is loaded.

    Raises:
        TritonServerError: it ended, or was not ready in time (a model that does not load counts as well).
    """
    with tempfile.TemporaryDirectory(prefix="tritonserver-") as directory, reserved_ports() as ports:
        log = Path(directory) / "output"
        with log.open("wb") as output:
            server = _start(repository, ports, arguments, output.fileno(), log)
        try:
            _await_ready(server, ready_seconds)
            yield server
        finally:
            _stop(server)


def _start(repository: Path, ports: range, arguments: tuple[str, ...], output: int, log: Path) -> RunningTritonServer:
    if not (TRITON / "bin" / "tritonserver").is_file():
        raise TritonServerError(f"{TRITON} holds no tritonserver: run `make setup`")
    http, grpc, metrics = ports[:3]
    command = [
        str(TRITON / "bin" / "tritonserver"),
        f"--backend-directory={TRITON / 'backends'}",
        f"--model-repository={repository}",
        "--http-address=127.0.0.1",
        "--grpc-address=127.0.0.1",
        "--metrics-address=127.0.0.1",
        f"--http-port={http}",
        f"--grpc-port={grpc}",
        f"--metrics-port={metrics}",
        "--http-header-forward-pattern=(?i)x-amzn-sagemaker-.*",
        "--exit-timeout-secs=5",  # a test that failed may leave requests behind
        *arguments,
    ]
    process = subprocess.Popen(command, stdout=output, stderr=output, env=_environment())
    return RunningTritonServer(f"127.0.0.1:{http}", f"127.0.0.1:{grpc}", f"127.0.0.1:{metrics}", process, log)


def _environment() -> dict[str, str]:
    """Return this environment with the interpreter of the tests first on PATH: Python backends use its packages."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "LD_LIBRARY_PATH": str(TRITON / "lib")}


def _await_ready(server: RunningTritonServer, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not _is_ready(server.http):
        status = server.process.poll()
        if status is not None:
            raise TritonServerError(f"tritonserver ended with status {status}:\n{server.output()}")
        if time.monotonic() > deadline:
            raise TritonServerError(f"tritonserver was not ready after {seconds:g} s:\n{server.output()}")
        time.sleep(0.05)


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/v2/health/ready", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:  # refused: not listening yet; HTTP 400: listening, but models are still loading
        return False


def _stop(server: RunningTritonServer) -> None:
    """Stop it as a container runtime does; its models' processes end with it."""
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired as error:
        server.process.kill()
        server.process.wait()
        message = f"tritonserver did not stop within {STOP_SECONDS:g} s:\n{server.output()}"
        raise TritonServerError(message) from error
