"""The processes that tritonserver runs Python models in."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import psutil

__all__ = ["UnknownCommandLineError", "await_end", "dead_groups", "host_memory", "kill", "running_instances"]

# The name of an instance or, while Triton completes a configuration, of a model: nothing like the arguments beside it,
# a number and the directory of a Python-based backend (or DEFAULT).
INSTANCE = re.compile(r"(?!DEFAULT$)(?!\d+$)[^/]+")

STUB = "triton_python_backend_stub"
TRITONSERVER = "tritonserver"
STARTING_SECONDS = 5.0
ENDING_SECONDS = 5.0


class UnknownCommandLineError(RuntimeError):
    """This version of Triton starts its processes in a way that we can't read: nothing can be said of them."""


def running_instances() -> dict[str, psutil.Process]:
    """Return the live processes by model instance, such as `label_top_k_0_0`.

    The command line of one: program, model file, shared memory region, sizes, …, instance name, backend directory.

    Raises:
        UnknownCommandLineError: there is no instance name at that place.
    """
    found = {}
    for process in _family():
        try:
            if process.name() == STUB and (line := _settled_command_line(process)):
                found[_instance(line)] = process
        except psutil.NoSuchProcess:  # it ended while we looked
            continue
    return found


def dead_groups(configurations: Iterable[Mapping[str, Any]], running: Iterable[str]) -> tuple[str, ...]:
    """Return the instance groups of Python models that have lost a process.

    When a Python model's process dies, Triton goes on to call the model ready.

    Args:
        configurations: of ready models, completed by Triton.
        running: the live instances, from `running_instances`.
    """
    instances = tuple(running)
    return tuple(
        group["name"]
        for configuration in configurations
        if configuration.get("backend") == "python" or configuration.get("runtime", "").endswith(".py")
        for group in configuration.get("instance_group", [])
        if sum(_belongs(instance, group) for instance in instances) < _count(group)
    )


def host_memory(models: Iterable[str]) -> int:
    """Return the bytes of host memory of models: their processes' own, and all of tritonserver's.

    The difference of two readings is what was loaded in between.

    Raises:
        UnknownCommandLineError: see `running_instances`.
    """
    return sum(map(_unique_bytes, _processes_of(models))) + sum(
        _resident_bytes(p) for p in _family() if _name(p) == TRITONSERVER
    )


def kill(models: Iterable[str]) -> None:
    """Kill the processes of models.

    Raises:
        UnknownCommandLineError: see `running_instances`.
    """
    for process in _processes_of(models):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def await_end(models: Iterable[str]) -> None:
    """Wait until the processes of models that were unloaded have ended: Triton answers a moment earlier.

    Raises:
        UnknownCommandLineError: see `running_instances`.
    """
    psutil.wait_procs(_processes_of(models), timeout=ENDING_SECONDS)


def _processes_of(models: Iterable[str]) -> list[psutil.Process]:
    wanted = re.compile(f"({'|'.join(map(re.escape, models))})_\\d+(_\\d+)?(_gpu\\d+)?")
    return [process for name, process in running_instances().items() if wanted.fullmatch(name)]


def _family() -> list[psutil.Process]:
    """Return all processes below the supervisor, whose children the app and tritonserver both are."""
    return psutil.Process(os.getppid()).children(recursive=True)


def _settled_command_line(process: psutil.Process) -> list[str]:
    """Return a process' command line; empty while it is being started, when the kernel tells only a part, or ending."""
    line = process.cmdline()
    if len(line) < 2 and time.time() - process.create_time() < STARTING_SECONDS:
        return []
    return line


def _instance(command_line: list[str]) -> str:
    if len(command_line) < 2 or not INSTANCE.fullmatch(command_line[-2]):
        raise UnknownCommandLineError(f"no model instance in the command line {' '.join(command_line)!r}")
    return command_line[-2]


def _belongs(instance: str, group: Mapping[str, Any]) -> bool:
    """Tell whether an instance is of a group: `label_top_k_0` → `label_top_k_0_1`, on a GPU with more behind it."""
    if group.get("kind") == "KIND_GPU":
        return instance.startswith(f"{group['name']}_")
    return str(group["name"]) == instance.rpartition("_")[0]


def _count(group: Mapping[str, Any]) -> int:
    """Return how many processes an instance group has: `count`, on each of its GPUs."""
    count = int(group.get("count", 1))
    return count * max(1, len(group.get("gpus", []))) if group.get("kind") == "KIND_GPU" else count


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def _unique_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except psutil.NoSuchProcess:
        return 0


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
