"""From settings and the model directory to what will be started. Pure: looks at nothing, starts nothing."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from serve import sagemaker
from serve.app.options import AppOptions, MultiModelOptions
from serve.front_door import NOISE_OF_THE_END, FrontDoor, render
from serve.plan.ignored import ignored
from serve.repository import Model, Repository, Runtime, instances, processes
from serve.settings import PortRange, Settings, SettingsError
from serve.triton.command import (
    NOISE_OF_SOCKET,
    NOISE_WITHOUT_GPU,
    SHARED_MEMORY,
    STOCK_THREADS,
    TritonPorts,
    tritonserver_arguments,
    tritonserver_environment,
)

__all__ = ["Child", "Machine", "Plan", "make_plan"]

# What is left of the time between SIGTERM and SIGKILL is for tritonserver to unload its models.
DRAIN_SECONDS = sagemaker.STOP_SECONDS - 5

# One thread of HAProxy passes on what several processors compute. On two processors a second thread makes each request
# cost half as much again (42 instead of 28 µs).
PROCESSORS_PER_FRONT_DOOR_THREAD = 4

# Where inner ports are looked for when the platform names no range: the range seen on SageMaker.
DEFAULT_PORT_RANGE = PortRange(*sagemaker.DEFAULT_SAFE_PORTS)

MIB = 1024 * 1024

# What serve decides, from variables of its own: with other values than it knows of, its parts don't find each other.
OWN_ARGUMENTS = frozenset(
    {"--model-control-mode", "--model-namespacing"}
    | {f"--allow-{end}" for end in ("http", "grpc", "metrics", "sagemaker")}
    | {f"--{end}-port" for end in ("http", "grpc", "metrics", "sagemaker")}
)

NO_HAPROXY = "HAProxy is not installed: the app answers every request itself, which is slower"


@dataclass(frozen=True)
class Machine:
    """What the plan must know of the machine.

    Attributes:
        gpus: number of GPUs.
        processors: number of processors that this container may use.
        haproxy: path of the HAProxy program, or None.
        free: tells whether a TCP port can be listened on.
        work_dir: a directory for sockets and rendered files that is this container's own.
        environment: the environment variables that children inherit.
        drain_seconds: how long requests in flight may take once `serve` is told to stop.
        free_shared_memory: bytes that are left of /dev/shm; None if that is not known.
        python_backends: the backends of which every instance is a process of its own.
    """

    gpus: int
    haproxy: str | None
    free: Callable[[int], bool]
    work_dir: Path
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    processors: int = 1
    drain_seconds: int = DRAIN_SECONDS
    free_shared_memory: int | None = None
    python_backends: frozenset[str] = frozenset({"python"})

    @property
    def runtime(self) -> Runtime:
        """What decides how many processes a model runs in."""
        return Runtime(self.python_backends, self.gpus)


@dataclass(frozen=True)
class Child:
    """A program to start.

    Attributes:
        name: what its lines in the log begin with.
        arguments: the program and its arguments.
        environment: None where it inherits serve's own.
        noise: a pattern of lines that are not worth forwarding.
        leftovers: files that outlive it when it is killed; the name of each may be a pattern.
        interrupts: whether it takes a processor from another program as soon as it has something to do.
    """

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str] | None = field(default=None, repr=False)
    noise: str | None = None
    leftovers: tuple[Path, ...] = ()
    interrupts: bool = True


@dataclass(frozen=True)
class Plan:
    """What will be started.

    Attributes:
        endpoint: what is served, in words.
        repositories: the model repositories that Triton sees.
        children: the programs, in the order of their start. The first is tritonserver, the last one listens on `port`.
        directories: directories to make first.
        files: files to write first, path → content.
        port: the SageMaker port.
        admin_socket: HAProxy's command socket, or None without HAProxy.
        restarts_tritonserver: whether the end of tritonserver is mended, rather than the end of it all.
        drain_seconds: how long requests in flight may take once `serve` is told to stop.
        warnings: what the operator should know.
        loads: the models that are loaded at the start, each in words.
        shares: the models that tenants may use, each in words.
    """

    endpoint: str
    repositories: tuple[Path, ...]
    children: tuple[Child, ...]
    directories: tuple[Path, ...]
    files: dict[Path, str]
    port: int
    admin_socket: Path | None
    restarts_tritonserver: bool
    drain_seconds: int
    warnings: tuple[str, ...]
    loads: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return the plan in words, as `serve --print-plan` prints it."""
        lines = [
            f"SageMaker port: {self.port}",
            f"serves: {self.endpoint}",
            *(f"loads: {model}" for model in self.loads),
            *(f"shares: {model}" for model in self.shares),
            *(f"model repository: {directory}" for directory in self.repositories),
            *(f"warning: {warning}" for warning in self.warnings),
        ]
        for child in self.children:
            lines += [f"start {child.name}:", *(f"    {argument}" for argument in child.arguments)]
        for path, content in self.files.items():
            lines += [f"write {path}:", *(f"    {line}" for line in content.splitlines())]
        return "\n".join(lines)


@dataclass(frozen=True)
class _WorkDir:
    """Where everything of this container's own lies."""

    root: Path

    @property
    def app_socket(self) -> Path:
        return self.root / "app.sock"

    @property
    def triton_socket(self) -> Path:
        return self.root / "triton.sock"

    @property
    def shared_memory_prefix(self) -> str:
        """What the names of shared memory of Python models begin with: no other container's do."""
        return f"{self.root.name}-"

    @property
    def metrics_socket(self) -> Path:
        return self.root / "metrics.sock"

    @property
    def admin_socket(self) -> Path:
        return self.root / "haproxy.sock"

    @property
    def haproxy_configuration(self) -> Path:
        return self.root / "haproxy.cfg"

    @property
    def tenant_repository(self) -> Path:
        return self.root / "tenants"

    @property
    def tenant_records(self) -> Path:
        return self.root / "records"

    @property
    def tenant_table(self) -> Path:
        return self.root / "tenants.map"


def make_plan(settings: Settings, repository: Repository, machine: Machine) -> Plan:
    """Decide what to start on one machine.

    Args:
        settings: the environment variables.
        repository: the models; on a multi-model endpoint those that the image shares among tenants.
        machine: the machine.

    Raises:
        SettingsError: the safe port range has too few free ports, the processes of the models do not fit into the
            shared memory, or an argument is one that `serve` decides.
    """
    _check_additional_arguments(settings)
    _check_shared_memory(settings, repository, machine)
    ports = _ports(settings, machine)
    models = () if settings.multi_model else tuple(model.name for model in repository.loaded)
    tritonserver = _tritonserver(settings, repository, machine, models, ports)
    native = settings.frontend == "native"
    with_haproxy = machine.haproxy is not None and not native
    work = _WorkDir(machine.work_dir)
    children = [tritonserver]
    files: dict[Path, str] = {}
    if not native:
        app = _app_options(settings, repository, machine, models, ports)
        # Isolated (-I): Triton's image sets PYTHONPATH, for the packages of its DALI backend, which would hide ours.
        children.append(Child("app", (sys.executable, "-I", "-m", "serve.app", app.to_json())))
    if with_haproxy:
        command = (str(machine.haproxy), "-db", "-f", str(work.haproxy_configuration))
        # One model: the processors are better used by those who compute while HAProxy gathers what it will pass on
        # next. Many: whatever a load computes, HAProxy must not wait for it.
        children.append(Child("haproxy", command, noise=NOISE_OF_THE_END, interrupts=settings.multi_model))
        files[work.haproxy_configuration] = render(_front_door(settings, repository, machine, ports))
        files[work.tenant_table] = ""
    in_words = tuple(_in_words(model, machine) for model in repository.loaded)
    return Plan(
        endpoint="many models" if settings.multi_model else str(repository.default_model),
        repositories=_repositories(settings, repository, work),
        children=tuple(children),
        directories=(work.tenant_repository, work.tenant_records) if settings.multi_model else (),
        files=files,
        port=settings.bind_to_port,
        admin_socket=work.admin_socket if with_haproxy else None,
        # One model: SageMaker replaces the instance. Many: that would lose all of them, so they are loaded again.
        restarts_tritonserver=settings.multi_model and not native,
        drain_seconds=machine.drain_seconds,
        warnings=tuple(_warnings(settings, repository, machine)),
        loads=() if settings.multi_model else in_words,
        shares=in_words if settings.multi_model else (),
    )


def _warnings(settings: Settings, repository: Repository, machine: Machine) -> Iterator[str]:
    on_gpu = [model.name for model in repository.loaded if model.config.wants_gpu]
    if on_gpu and not machine.gpus:
        yield f"no GPU here: KIND_GPU of {', '.join(on_gpu)} runs on the CPU"
    if machine.haproxy is None and settings.frontend == "gateway":
        yield NO_HAPROXY
    if settings.multi_model and not repository.models and settings.shared_models_dir != Settings().shared_models_dir:
        yield f"SAGEMAKER_TRITON_SHARED_MODELS_DIR={str(settings.shared_models_dir)!r}: there is no model to share"
    yield from ignored(settings, machine.gpus)
    yield from map(str, repository.warnings)


def _in_words(model: Model, machine: Machine) -> str:
    count = instances(model.config, machine.gpus)
    one, several = ("process", "processes") if processes(model.config, machine.runtime) else ("instance", "instances")
    how_many = f", {count} {one if count == 1 else several}" if count else ""
    return f"{model.name} ({model.config.backend}{how_many})"


def _processes(repository: Repository, machine: Machine) -> dict[str, int]:
    """Return how many processes of their own the models to load are started in."""
    counts = {model.name: processes(model.config, machine.runtime) for model in repository.loaded}
    return {name: count for name, count in counts.items() if count}


def _threads(settings: Settings, repository: Repository, machine: Machine) -> int | None:
    """Return how many threads each process of a Python model may take, so that together they do not crowd the CPU."""
    if settings.multi_model:
        return 1
    count = sum(_processes(repository, machine).values())
    return max(1, machine.processors // count) if count else None


def _check_shared_memory(settings: Settings, repository: Repository, machine: Machine) -> None:
    counts = {} if settings.multi_model else _processes(repository, machine)
    size, free, count = settings.shm_default_byte_size, machine.free_shared_memory, sum(counts.values())
    if free is None or count * size <= free:
        return
    fewer = f"fewer processes ({', '.join(f'{name}: {number}' for name, number in counts.items())})"
    at_most = f"{free // count} at most, or " if free // count >= MIB else ""
    raise SettingsError(
        f"SAGEMAKER_TRITON_SHM_DEFAULT_BYTE_SIZE='{size}': {count} processes of models take {count * size / MIB:.1f} "
        f"MiB of /dev/shm, which has {free / MIB:.1f} MiB left: expected {at_most}{fewer}, as instance_group says in "
        "config.pbtxt, or a larger /dev/shm (docker run --shm-size)"
    )


def _check_additional_arguments(settings: Settings) -> None:
    for argument in settings.additional_args:
        if (name := argument.partition("=")[0]) in OWN_ARGUMENTS:
            raise SettingsError(
                f"SAGEMAKER_TRITON_ADDITIONAL_ARGS={shlex.join(settings.additional_args)!r}: expected no {name}, which "
                "serve sets by itself, from variables of its own"
            )


def _repositories(settings: Settings, repository: Repository, work: _WorkDir) -> tuple[Path, ...]:
    if not settings.multi_model:
        return (repository.directory,)
    if settings.frontend == "native" or not repository.models:
        return (work.tenant_repository,)
    return (work.tenant_repository, repository.directory)


def _tritonserver(
    settings: Settings, repository: Repository, machine: Machine, models: tuple[str, ...], ports: TritonPorts
) -> Child:
    work = _WorkDir(machine.work_dir)
    arguments = tritonserver_arguments(
        settings,
        repositories=_repositories(settings, repository, work),
        models=models,
        ports=ports,
        gpus=machine.gpus,
        processors=machine.processors,
        python_backends=machine.python_backends,
        shared_memory_prefix=work.shared_memory_prefix,
        # Behind the gateway nothing is in flight by then, but Python models have something to finalize.
        exit_timeout_seconds=machine.drain_seconds,
    )
    threads = _threads(settings, repository, machine)
    environment = tritonserver_environment(settings, machine.environment, repository.default_model, threads)
    noise = NOISE_OF_SOCKET if machine.gpus else f"{NOISE_OF_SOCKET}|{NOISE_WITHOUT_GPU}"
    leftovers = (work.triton_socket, SHARED_MEMORY / f"{work.shared_memory_prefix}*")
    return Child("tritonserver", arguments, environment, noise, leftovers)


def _front_door(settings: Settings, repository: Repository, machine: Machine, ports: TritonPorts) -> FrontDoor:
    work = _WorkDir(machine.work_dir)
    return FrontDoor(
        port=settings.bind_to_port,
        triton=ports.http_address,
        model=repository.default_model,
        inference_type=settings.inference_type,
        app_socket=work.app_socket,
        metrics_socket=work.metrics_socket,
        admin_socket=work.admin_socket,
        tenant_table=work.tenant_table,
        drain_seconds=machine.drain_seconds,
        threads=max(1, machine.processors // PROCESSORS_PER_FRONT_DOOR_THREAD),
    )


def _app_options(
    settings: Settings, repository: Repository, machine: Machine, models: tuple[str, ...], ports: TritonPorts
) -> AppOptions:
    behind_haproxy = machine.haproxy is not None
    work = _WorkDir(machine.work_dir)
    return AppOptions(
        port=None if behind_haproxy else settings.bind_to_port,
        socket=str(work.app_socket) if behind_haproxy else None,
        triton_http=ports.http_address,
        triton_metrics=f"http://127.0.0.1:{_given(ports.metrics)}/metrics",
        haproxy_metrics=str(work.metrics_socket) if behind_haproxy else None,
        default_model=repository.default_model,
        inference_type=settings.inference_type,
        ping_mode=settings.ping_mode,
        watched_models=models,
        python_backends=tuple(sorted(machine.python_backends)),
        gpus=machine.gpus,
        max_concurrent_transforms=settings.thread_count or STOCK_THREADS,
        drain_seconds=machine.drain_seconds,
        multi_model=_multi_model_options(settings, repository, machine, ports) if settings.multi_model else None,
    )


def _multi_model_options(
    settings: Settings, repository: Repository, machine: Machine, ports: TritonPorts
) -> MultiModelOptions:
    work = _WorkDir(machine.work_dir)
    return MultiModelOptions(
        triton_grpc=f"127.0.0.1:{_given(ports.grpc)}",
        models_dir=str(settings.base_dir / sagemaker.MODELS_SUBDIRECTORY),
        tenant_repository=str(work.tenant_repository),
        records_dir=str(work.tenant_records),
        table=str(work.tenant_table),
        admin_socket=str(work.admin_socket) if machine.haproxy is not None else None,
        shared_models=repository.models,
        shm_bytes=settings.shm_default_byte_size,
    )


def _ports(settings: Settings, machine: Machine) -> TritonPorts:
    """Give each of Triton's front ends a port, if it is offered outside or needed inside."""
    pool = _free_ports(settings, machine)
    gateway = settings.frontend == "gateway"

    def port(offered: bool, needed: bool, asked: int | None, stock: int) -> int | None:
        if not offered and not needed:
            return None
        if asked is not None:
            return asked
        return stock if offered and settings.safe_port_range is None else next(pool)

    with_socket = gateway and not settings.allow_http and settings.http_port is None
    return TritonPorts(
        http=None if with_socket else port(settings.allow_http, gateway, settings.http_port, 8000),
        http_socket=_WorkDir(machine.work_dir).triton_socket if with_socket else None,
        grpc=port(settings.allow_grpc, gateway and settings.multi_model, settings.grpc_port, 8001),
        metrics=port(settings.allow_metrics, gateway, settings.metrics_port, 8002),
    )


def _given(port: int | None) -> int:
    if port is None:
        raise ValueError("the gateway needs this port")
    return port


def _free_ports(settings: Settings, machine: Machine) -> Iterator[int]:
    ports = settings.safe_port_range or DEFAULT_PORT_RANGE
    taken = {settings.bind_to_port, settings.http_port, settings.grpc_port, settings.metrics_port}
    for port in range(ports.first, ports.last + 1):
        if port not in taken and machine.free(port):
            yield port
    name = "SAGEMAKER_SAFE_PORT_RANGE" if settings.safe_port_range else "the default port range"
    raise SettingsError(f"{name}={str(ports)!r}: expected more free ports, all are in use")
