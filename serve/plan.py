"""From settings and the model directory to what will be started. Pure: looks at nothing, starts nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from serve.app.options import AppOptions
from serve.front_door import FrontDoor, render
from serve.repository import Repository
from serve.settings import PortRange, Settings, SettingsError
from serve.triton.command import TritonPorts, tritonserver_arguments, tritonserver_environment

__all__ = ["Child", "Machine", "Plan", "make_plan"]

# SageMaker kills a container 30 s after SIGTERM.
DRAIN_SECONDS = 25

# Where inner ports are looked for when the platform names no range: the range seen on SageMaker.
DEFAULT_PORT_RANGE = PortRange(21000, 21999)


@dataclass(frozen=True)
class Machine:
    """What the plan must know of the machine.

    Attributes:
        gpus: number of GPUs.
        haproxy: path of the HAProxy program, or None.
        free: tells whether a TCP port can be listened on.
        work_dir: a directory for sockets and rendered files that is this container's own.
        environment: the environment variables that children inherit.
    """

    gpus: int
    haproxy: str | None
    free: Callable[[int], bool]
    work_dir: Path
    environment: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Child:
    """A program to start. `environment` is None where it inherits serve's own."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Plan:
    """What will be started.

    Attributes:
        repository: the models that Triton sees.
        children: the programs, in the order of their start. The first is tritonserver, the last one listens on `port`.
        files: files to write first, path → content.
        port: the SageMaker port.
        admin_socket: HAProxy's admin socket, or None without HAProxy.
        warnings: what the operator should know.
    """

    repository: Repository
    children: tuple[Child, ...]
    files: dict[Path, str]
    port: int
    admin_socket: Path | None
    warnings: tuple[str, ...]

    def describe(self) -> str:
        """Return the plan in words, as `serve --print-plan` prints it."""
        lines = [
            f"SageMaker port: {self.port}",
            f"model repository: {self.repository.directory}",
            f"models: {', '.join(self.repository.models)}",
            f"default model: {self.repository.default_model}",
            *(f"warning: {warning}" for warning in self.warnings),
        ]
        for child in self.children:
            lines += [f"start {child.name}:", *(f"    {argument}" for argument in child.arguments)]
        for path, content in self.files.items():
            lines += [f"write {path}:", *(f"    {line}" for line in content.splitlines())]
        return "\n".join(lines)


def make_plan(settings: Settings, repository: Repository, machine: Machine) -> Plan:
    """Decide what to start for one repository on one machine.

    Raises:
        SettingsError: the safe port range has too few free ports, or a model to load is not in the repository.
    """
    models = _models_to_load(settings, repository)
    if settings.frontend == "native":
        return _native(settings, repository, machine, models)
    return _gateway(settings, repository, machine, models)


def _native(settings: Settings, repository: Repository, machine: Machine, models: tuple[str, ...]) -> Plan:
    pool = _free_ports(settings, machine)
    ports = TritonPorts(
        http=_port(settings.http_port, 8000, settings, pool) if settings.allow_http else None,
        grpc=_port(settings.grpc_port, 8001, settings, pool) if settings.allow_grpc else None,
        metrics=_port(settings.metrics_port, 8002, settings, pool) if settings.allow_metrics else None,
    )
    tritonserver = _tritonserver(settings, repository, machine, models, ports)
    return Plan(repository, (tritonserver,), {}, settings.bind_to_port, None, ())


def _gateway(settings: Settings, repository: Repository, machine: Machine, models: tuple[str, ...]) -> Plan:
    pool = _free_ports(settings, machine)
    http = _port(settings.http_port, 8000, settings, pool) if settings.allow_http else _inner(settings.http_port, pool)
    metrics = (
        _port(settings.metrics_port, 8002, settings, pool)
        if settings.allow_metrics
        else _inner(settings.metrics_port, pool)
    )
    grpc = _port(settings.grpc_port, 8001, settings, pool) if settings.allow_grpc else None
    tritonserver = _tritonserver(settings, repository, machine, models, TritonPorts(http, grpc, metrics))
    app = _app_options(settings, repository, machine, models, http, metrics)
    # Isolated (-I): Triton's image sets PYTHONPATH, for the packages of its DALI backend, which would hide ours.
    app_child = Child("app", (sys.executable, "-I", "-m", "serve.app", app.to_json()))
    if machine.haproxy is None:
        warning = "HAProxy is not installed: the app answers every request itself, which is slower"
        return Plan(repository, (tritonserver, app_child), {}, settings.bind_to_port, None, (warning,))
    front_door = FrontDoor(
        port=settings.bind_to_port,
        triton_port=http,
        model=repository.default_model,
        inference_type=settings.inference_type,
        app_socket=_app_socket(machine),
        metrics_socket=_metrics_socket(machine),
        admin_socket=machine.work_dir / "haproxy.sock",
        drain_seconds=DRAIN_SECONDS,
    )
    configuration = machine.work_dir / "haproxy.cfg"
    haproxy = Child("haproxy", (machine.haproxy, "-db", "-q", "-f", str(configuration)))
    files = {configuration: render(front_door)}
    children = (tritonserver, app_child, haproxy)
    return Plan(repository, children, files, settings.bind_to_port, front_door.admin_socket, ())


def _tritonserver(
    settings: Settings, repository: Repository, machine: Machine, models: tuple[str, ...], ports: TritonPorts
) -> Child:
    arguments = tritonserver_arguments(
        settings,
        repository=repository.directory,
        models=models,
        ports=ports,
        gpus=machine.gpus,
        # Behind the gateway the front door has drained before Triton is told to stop.
        exit_timeout_seconds=DRAIN_SECONDS if settings.frontend == "native" else 2,
    )
    environment = tritonserver_environment(settings, machine.environment, repository.default_model)
    return Child("tritonserver", arguments, environment)


def _app_options(
    settings: Settings, repository: Repository, machine: Machine, models: tuple[str, ...], http: int, metrics: int
) -> AppOptions:
    behind_haproxy = machine.haproxy is not None
    return AppOptions(
        port=None if behind_haproxy else settings.bind_to_port,
        socket=str(_app_socket(machine)) if behind_haproxy else None,
        triton_http=f"http://127.0.0.1:{http}",
        triton_metrics=f"http://127.0.0.1:{metrics}/metrics",
        haproxy_metrics=str(_metrics_socket(machine)) if behind_haproxy else None,
        default_model=repository.default_model,
        inference_type=settings.inference_type,
        ping_mode=settings.ping_mode,
        watched_models=models[1:],
        max_concurrent_transforms=settings.thread_count,
        drain_seconds=DRAIN_SECONDS,
    )


def _app_socket(machine: Machine) -> Path:
    return machine.work_dir / "app.sock"


def _metrics_socket(machine: Machine) -> Path:
    return machine.work_dir / "metrics.sock"


def _models_to_load(settings: Settings, repository: Repository) -> tuple[str, ...]:
    for name in settings.load_models:
        if name not in repository.models:
            raise SettingsError(
                f"SAGEMAKER_TRITON_LOAD_MODELS={','.join(settings.load_models)!r}: {name!r} is not in the model "
                f"directory, expected some of {', '.join(repository.models)}"
            )
    return tuple(dict.fromkeys((repository.default_model, *settings.load_models)))


def _free_ports(settings: Settings, machine: Machine) -> Iterator[int]:
    ports = settings.safe_port_range or DEFAULT_PORT_RANGE
    taken = {settings.bind_to_port, settings.http_port, settings.grpc_port, settings.metrics_port}
    for port in range(ports.first, ports.last + 1):
        if port not in taken and machine.free(port):
            yield port
    name = "SAGEMAKER_SAFE_PORT_RANGE" if settings.safe_port_range else "the default port range"
    raise SettingsError(f"{name}={str(ports)!r}: expected more free ports, all are in use")


def _port(asked: int | None, stock: int, settings: Settings, pool: Iterator[int]) -> int:
    """Return the port of a front end that is offered outside: as asked, else from the range, else Triton's own."""
    if asked is not None:
        return asked
    return next(pool) if settings.safe_port_range else stock


def _inner(asked: int | None, pool: Iterator[int]) -> int:
    return asked if asked is not None else next(pool)
