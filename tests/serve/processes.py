"""Conditions to wait for, and processes to kill."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import psutil

__all__ = ["await_true", "kill"]


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
