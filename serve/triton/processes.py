"""The processes that tritonserver runs Python models in."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from serve.repository import ModelConfig, Runtime, processes_by_group

__all__ = ["Instance", "ModelProcesses", "UnknownCommandLineError"]

# The name of an instance or, while Triton completes a configuration, of a model. It differs from the arguments beside
# it: a number, and the directory of a Python-based backend (or DEFAULT).
INSTANCE = re.compile(r"(?!DEFAULT$)(?!\d+$)[^/]+")

# The file that a model runs, in the directory of its version.
MODEL_FILE = re.compile(r".*/(?P<model>[^/]+)/\d+/.+")

STUB = "triton_python_backend_stub"
TRITONSERVER = "tritonserver"
STARTING_SECONDS = 5.0
ENDING_SECONDS = 5.0


class UnknownCommandLineError(RuntimeError):
    """This version of Triton starts its processes with a command line that we can't read: nothing is known of them."""


@dataclass(frozen=True)
class Instance:
    """A live process of a Python model.

    Attributes:
        model: the model's name in Triton, taken from the path of its file: `a_0_0` may belong to `a` or to `a_0`.
        name: such as `label_top_k_0_0`; the same on each GPU.
        process: the process.
    """

    model: str
    name: str
    process: psutil.Process


@dataclass(frozen=True)
class ModelProcesses:
    """Reads the processes of Python models.

    Attributes:
        supervisor: id of the process whose descendants are looked at: the parent of tritonserver and of the app.
        runtime: decides how many processes a model runs in.
    """

    supervisor: int
    runtime: Runtime

    def running(self) -> list[Instance]:
        """Return the live processes of Python models.

        The command line of one: program, model file, shared memory region, sizes, …, instance name, backend directory.

        Raises:
            UnknownCommandLineError: no model file or instance name is in its place, or we may not read it.
        """
        found = []
        for process in self._descendants():
            try:
                if process.name() == STUB and (line := _settled_command_line(process)):
                    found.append(_instance(line, process))
            except psutil.NoSuchProcess:  # it ended in the meantime
                continue
            except psutil.AccessDenied as error:
                raise UnknownCommandLineError(f"process {process.pid} can't be read: {error}") from error
        return found

    def dead_groups(self, configurations: Iterable[ModelConfig], running: Collection[Instance]) -> tuple[str, ...]:
        """Return the instance groups that have lost a process.

        When the process of a model's instance dies, Triton still calls the model ready.

        Args:
            configurations: of ready models, completed by Triton.
            running: the live instances, from `running`.
        """
        return tuple(
            group
            for configuration in configurations
            for group, count in processes_by_group(configuration, self.runtime).items()
            if sum(_belongs(instance, configuration.name, group) for instance in running) < count
        )

    def host_memory(self, models: Iterable[str]) -> int:
        """Return the bytes of host memory of models: their processes' own, and all of tritonserver's.

        The difference between two readings is what was loaded in between.

        Raises:
            UnknownCommandLineError: see `running`.
        """
        own = sum(map(_unique_bytes, self._of(models)))
        return own + sum(_resident_bytes(each) for each in self._descendants() if _name(each) == TRITONSERVER)

    def kill(self, models: Iterable[str]) -> None:
        """Kill the processes of models.

        Raises:
            UnknownCommandLineError: see `running`.
        """
        for process in self._of(models):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def await_end(self, models: Iterable[str]) -> None:
        """Wait until the processes of unloaded models have ended, which is a moment after Triton says so.

        Raises:
            UnknownCommandLineError: see `running`.
        """
        psutil.wait_procs(self._of(models), timeout=ENDING_SECONDS)

    def _of(self, models: Iterable[str]) -> list[psutil.Process]:
        wanted = frozenset(models)
        return [instance.process for instance in self.running() if instance.model in wanted]

    def _descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.supervisor).children(recursive=True)


def _settled_command_line(process: psutil.Process) -> list[str]:
    """Return a process' command line; empty while it starts, when the kernel shows only a part of it, or ends."""
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
    """Tell whether an instance belongs to a group: `label_top_k_0` → `label_top_k_0_1`."""
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
