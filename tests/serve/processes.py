"""The processes of a running `serve`, found as its descendants."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.serving import RunningServe

__all__ = ["await_true", "child", "descendants", "kill", "stubs"]

STUB = "triton_python_backend_stub"


def descendants(serve: RunningServe) -> list[psutil.Process]:
    return psutil.Process(serve.process.pid).children(recursive=True)


def child(serve: RunningServe, name: str) -> psutil.Process:
    """Return the process that the plan calls `tritonserver`, `app` or `haproxy`.

    Raises:
        LookupError: it does not run.
    """
    for process in psutil.Process(serve.process.pid).children():
        arguments = process.cmdline()
        if "serve.app" in arguments if name == "app" else arguments[:1] and Path(arguments[0]).name == name:
            return process
    raise LookupError(f"{name} does not run")


def stubs(serve: RunningServe) -> list[psutil.Process]:
    """Return the processes that Python models run in."""
    return [process for process in descendants(serve) if process.name() == STUB[:15] or process.name() == STUB]


def kill(process: psutil.Process) -> None:
    """Do what the kernel does when memory runs out."""
    process.send_signal(signal.SIGKILL)


def await_true(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it does not hold after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:g} s still not: {what}"
        time.sleep(0.02)
