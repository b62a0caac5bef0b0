"""What a plan is made of: plain values, which the supervisor carries out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = [
    "AdminDrain",
    "Child",
    "Drain",
    "EndsEndpoint",
    "NoDrain",
    "Plan",
    "Restarts",
    "Role",
    "SigtermDrain",
]

Role = Literal["tritonserver", "app", "haproxy"]


@dataclass(frozen=True)
class EndsEndpoint:
    """The end of this child ends the endpoint, with its status: SageMaker then replaces the instance."""


@dataclass(frozen=True)
class Restarts:
    """This child is started again when it ends; the endpoint ends once it has died too often.

    Attributes:
        tells: the child that gets SIGHUP once this one was started again.
        own_status: whether the endpoint then ends with this child's status, rather than with 1.
    """

    tells: Role | None = None
    own_status: bool = False


@dataclass(frozen=True)
class NoDrain:
    """This child is not the front door: nothing is in flight in it once the front door is drained."""


@dataclass(frozen=True)
class SigtermDrain:
    """This child is the front door, and finishes what is in flight by itself on SIGTERM."""


@dataclass(frozen=True)
class AdminDrain:
    """This child is HAProxy as the front door: it stops accepting on SIGUSR1, and tells what is in flight.

    Attributes:
        socket: HAProxy's command socket.
    """

    socket: Path


Drain = NoDrain | SigtermDrain | AdminDrain


@dataclass(frozen=True, kw_only=True)
class Child:
    """A program to start.

    Attributes:
        role: what it is; lines in the log begin with it.
        arguments: the program and its arguments.
        when_it_ends: what follows when it ends unasked.
        drain: how it finishes what is in flight.
        unloads: whether it may take what is left of the time to stop, to unload its models.
        environment: its environment; None for serve's own.
        log_filter: a pattern of lines that are not worth forwarding.
        cleanup_globs: files that outlive it when it is killed; the name of each may be a pattern.
        sched_batch: whether it lets other programs finish their time slice, instead of taking their processor as soon
            as it has something to do.
    """

    role: Role
    arguments: tuple[str, ...]
    when_it_ends: EndsEndpoint | Restarts
    drain: Drain = NoDrain()
    unloads: bool = False
    environment: dict[str, str] | None = field(default=None, repr=False)
    log_filter: str | None = None
    cleanup_globs: tuple[Path, ...] = ()
    sched_batch: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be started.

    Attributes:
        endpoint: what is served, for the log.
        repositories: the model repositories that Triton sees.
        children: the programs, in the order of their start; they are stopped in the opposite one.
        directories: directories to make first.
        files: files to write first, path → content.
        port: the SageMaker port.
        drain_seconds: how long requests in flight may take once `serve` is told to stop.
        warnings: what the operator should know.
        loads: the models that are loaded at the start, each described.
        shares: the models that tenants may use, each described.
    """

    endpoint: str
    children: tuple[Child, ...]
    port: int
    drain_seconds: int
    repositories: tuple[Path, ...] = ()
    directories: tuple[Path, ...] = ()
    files: dict[Path, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    loads: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return the plan as `serve --print-plan` prints it."""
        lines = [
            f"SageMaker port: {self.port}",
            f"serves: {self.endpoint}",
            *(f"loads: {model}" for model in self.loads),
            *(f"shares: {model}" for model in self.shares),
            *(f"model repository: {directory}" for directory in self.repositories),
            *(f"warning: {warning}" for warning in self.warnings),
        ]
        for child in self.children:
            lines += [f"start {child.role}:", *(f"    {argument}" for argument in child.arguments)]
        for path, content in self.files.items():
            lines += [f"write {path}:", *(f"    {line}" for line in content.splitlines())]
        return "\n".join(lines)
