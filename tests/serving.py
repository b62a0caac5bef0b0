"""Run the real `serve`, as a process on ports of its own, for as long as a `with` block lasts."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.triton import ROOT, TRITON

READY_SECONDS = 90.0  # the image classifier takes about 6 on two idle cores
STOP_SECONDS = 40.0  # serve itself takes 30 at most
POLL_SECONDS = 0.05
LOG_LINES = 60

# Below the range that the kernel takes outgoing ports from, and beside the one that `serve` uses when it is not told.
BLOCK_FIRST, BLOCK_LAST, BLOCK_SIZE = 22000, 31999, 10


class ServeError(RuntimeError):
    """`serve` did not become ready, or did not stop. The message holds the end of its log."""


@dataclass(frozen=True)
class RunningServe:
    """A running `serve`.

    Attributes:
        port: the SageMaker port, on every interface.
        process: the parent of tritonserver, the app and HAProxy.
        log: what it and its children print.
        environment: what it was started with.
    """

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        """Return everything that was printed so far."""
        return self.log.read_text(errors="replace")

    def last_output(self) -> str:
        """Return the end of what was printed so far."""
        return "\n".join(self.output().splitlines()[-LOG_LINES:])

    def ping(self, seconds: float = 5) -> int | None:
        """Return the status of `/ping`, or None where nobody answers within `seconds`."""
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=seconds) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            with closing(error):
                return error.code
        except OSError:
            return None

    def await_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until `/ping` answers 200.

        Raises:
            ServeError: it ended, or was not ready in time.
        """
        deadline = time.monotonic() + seconds
        while self.ping() != 200:
            if self.process.poll() is not None:
                raise ServeError(f"serve ended with status {self.process.returncode}:\n{self.last_output()}")
            if time.monotonic() > deadline:
                raise ServeError(f"serve was not ready after {seconds:g} s:\n{self.last_output()}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> int:
        """Stop it as SageMaker does, if it still runs; return its exit status.

        Raises:
            ServeError: it did not end, and was killed.
        """
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            self.process.wait()
            raise ServeError(f"serve did not stop within {STOP_SECONDS:g} s:\n{self.last_output()}") from error


@contextmanager
def running_serve(
    base_dir: Path,
    environment: Mapping[str, str] | None = None,
    *,
    haproxy: bool = True,
    await_ready: bool = True,
    ready_seconds: float = READY_SECONDS,
) -> Iterator[RunningServe]:
    """Serve `base_dir/model` (multi-model: `base_dir/models`); `/ping` answers 200 when the block starts.

    Args:
        base_dir: stands for `/opt/ml`.
        environment: variables of `serve`, beside those for the base directory, Triton's directory and the ports.
        haproxy: False hides HAProxy, so that the app serves by itself.
        await_ready: False enters the block as soon as the process was started.
        ready_seconds: how long to wait.

    Raises:
        ServeError: it ended, was not ready in time, or did not stop.
    """
    with tempfile.TemporaryDirectory(prefix="serving-") as directory:
        log = Path(directory) / "log"
        serve = _start(log, {**serve_environment(base_dir, haproxy=haproxy), **(environment or {})})
        try:
            if await_ready:
                serve.await_ready(ready_seconds)
            yield serve
        except BaseException:
            print(f"The end of the log of `serve` on port {serve.port}:\n{serve.last_output()}")
            raise
        finally:
            serve.stop()


def serve_environment(base_dir: Path, *, haproxy: bool = True) -> dict[str, str]:
    """Return what `serve` needs to run beside others on this machine: the base directory, programs and free ports."""
    port = free_block()
    # Triton's Python models run with the first python3 on PATH: the one that has their packages.
    path = [str(Path(sys.executable).parent), *os.environ["PATH"].split(os.pathsep)]
    programs = [entry for entry in path if haproxy or not shutil.which("haproxy", path=entry)]
    return {
        "SAGEMAKER_BASE_DIR": str(base_dir),
        "SAGEMAKER_TRITON_INSTALL_DIR": str(TRITON),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_SAFE_PORT_RANGE": f"{port + 1}-{port + BLOCK_SIZE - 1}",
        "PATH": os.pathsep.join(programs),
    }


def free_block() -> int:
    """Return the first of ten consecutive TCP ports that nobody listened on a moment ago, at a random place.

    Raises:
        ServeError: there are none.
    """
    firsts = list(range(BLOCK_FIRST, BLOCK_LAST, BLOCK_SIZE))
    random.shuffle(firsts)
    for first in firsts:
        if _all_free(range(first, first + BLOCK_SIZE)):
            return first
    raise ServeError(f"no {BLOCK_SIZE} consecutive free ports between {BLOCK_FIRST} and {BLOCK_LAST}")


def _all_free(ports: range) -> bool:
    with ExitStack() as stack:
        try:
            for port in ports:
                stack.enter_context(closing(socket.socket())).bind(("", port))
        except OSError:
            return False
    return True


def _start(log: Path, environment: dict[str, str]) -> RunningServe:
    if not (TRITON / "bin" / "tritonserver").is_file():
        raise ServeError(f"{TRITON} holds no tritonserver: run `make setup`")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SAGEMAKER_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "serve"], env={**inherited, **environment}, stdout=output, stderr=output, cwd=ROOT
        )
    return RunningServe(int(environment["SAGEMAKER_BIND_TO_PORT"]), process, log, environment)
