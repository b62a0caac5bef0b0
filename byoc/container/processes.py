"""The processes of a running `serve`, and the memory that they take."""

from __future__ import annotations

from pathlib import Path

import psutil

from byoc.container.process import RunningServe

__all__ = ["child", "descendants", "memory_bytes", "model_processes"]

STUB = "triton_python_backend_stub"
NAME_LENGTH = 15  # the kernel keeps so much of a process's name


def descendants(serve: RunningServe) -> list[psutil.Process]:
    """Return its children and all of theirs."""
    return psutil.Process(serve.process.pid).children(recursive=True)


def child(serve: RunningServe, name: str) -> psutil.Process:
    """Return the child that is `tritonserver`, `app` or `haproxy`.

    Raises:
        LookupError: it does not run.
    """
    for process in psutil.Process(serve.process.pid).children():
        arguments = process.cmdline()
        if "serve.app" in arguments if name == "app" else arguments[:1] and Path(arguments[0]).name == name:
            return process
    raise LookupError(f"{name} does not run")


def model_processes(serve: RunningServe) -> list[psutil.Process]:
    """Return the processes that Python models run in."""
    return [process for process in descendants(serve) if process.name() in (STUB, STUB[:NAME_LENGTH])]


def memory_bytes(serve: RunningServe) -> int:
    """Return the bytes that all its processes take; what several of them share is counted once (PSS)."""
    return sum(map(_proportional_bytes, [psutil.Process(serve.process.pid), *descendants(serve)]))


def _proportional_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0
