"""The processes that tritonserver runs Python models in."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from serve.repository import ModelConfig, Runtime, processes_by_group

__all__ = [
    "Instance",
    "UnknownCommandLineError",
    "await_end",
    "dead_groups",
    "host_memory",
    "kill",
    "running_instances",
]

# The name of an instance or, while Triton completes a configuration, of a model: nothing like the arguments beside it,
# a number and the directory of a Python-based backend (or DEFAULT).
INSTANCE = re.compile(r"(?!DEFAULT$)(?!\d+$)[^/]+")

# What a model runs, in its version's directory.
MODEL_FILE = re.compile(r".*/(?P<model>[^/]+)/\d+/.+")

STUB = "triton_python_backend_stub"
TRITONSERVER = "tritonserver"
STARTING_SECONDS = 5.0
ENDING_SECONDS = 5.0


class UnknownCommandLineError(RuntimeError):
    """This version of Triton starts its processes in a way that we can't read: nothing can be said of them."""


@dataclass(frozen=True)
class Instance:
    """A live process of a Python model.

    Attributes:
        model: the model's name in Triton. Where its file lies tells it: `a_0_0` may be of `a` or `a_0`.
        name: such as `label_top_k_0_0`; the same on each GPU.
        process: the process.
    """

    model: str
    name: str
    process: psutil.Process


def running_instances() -> list[Instance]:
    """Return the live processes of Python models.

    The command line of one: program, model file, shared memory region, sizes, …, instance name, backend directory.

    Raises:
        UnknownCommandLineError: there is no model file or no instance name at that place, or we may not look.
    """
    found = []
    for process in _family():
        try:
            if process.name() == STUB and (line := _settled_command_line(process)):
                found.append(_instance(line, process))
        except psutil.NoSuchProcess:  # it ended while we looked
            continue
        except psutil.AccessDenied as error:
            raise UnknownCommandLineError(f"the process {process.pid} can't be looked at: {error}") from error
    return found


def dead_groups(
    configurations: Iterable[ModelConfig], running: Collection[Instance], runtime: Runtime
) -> tuple[str, ...]:
    """Return the instance groups of Python models that have lost a process.

    When a Python model's process dies, Triton goes on to call the model ready.

    Args:
        configurations: of ready models, completed by Triton.
        running: the live instances, from `running_instances`.
        runtime: what decides how many processes a model runs in.
    """
    return tuple(
        group
        for configuration in configurations
        for group, count in processes_by_group(configuration, runtime).items()
        if sum(_belongs(instance, configuration.name, group) for instance in running) < count
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
    wanted = frozenset(models)
    return [instance.process for instance in running_instances() if instance.model in wanted]


def _family() -> list[psutil.Process]:
    """Return all processes below the supervisor, whose children the app and tritonserver both are."""
    return psutil.Process(os.getppid()).children(recursive=True)


def _settled_command_line(process: psutil.Process) -> list[str]:
    """Return a process' command line; empty while it is being started, when the kernel tells only a part, or ending."""
    line = process.cmdline()
    if len(line) < 2 and time.time() - process.create_time() < STARTING_SECONDS:
        return []
    return line


def _instance(line: list[str], process: psutil.Process) -> Instance:
    file = MODEL_FILE.fullmatch(line[1]) if len(line) > 2 else None
    if file is None or not INSTANCE.fullmatch(line[-2]):
        raise UnknownCommandLineError(f"no model instance in the command line {' '.join(line)!r}")
    return Instance(file["model"], line[-2], process)


def _belongs(instance: Instance, model: str, group: str) -> bool:
    """Tell whether an instance is of a group: `label_top_k_0` → `label_top_k_0_1`."""
    return instance.model == model and re.fullmatch(rf"{re.escape(group)}_\d+(_gpu\d+)?", instance.name) is not None


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
