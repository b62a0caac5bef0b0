"""The tritonserver command line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from serve import sagemaker
from serve.settings import PortRange, Settings

__all__ = [
    "HEADER_PATTERN",
    "MESSAGES_OF_SOCKET",
    "MESSAGES_WITHOUT_GPU",
    "STOCK_THREADS",
    "FrontEnds",
    "Port",
    "SageMakerPort",
    "Socket",
    "tritonserver_arguments",
    "tritonserver_environment",
]

# Which HTTP headers reach models, as request parameters. HAProxy lower-cases header names on the way.
HEADER_PATTERN = f"(?i){sagemaker.HEADER_PREFIX}.*"

# What tritonserver's HTTP library prints for every connection to a Unix socket, to which Nagle's delay is unknown.
MESSAGES_OF_SOCKET = "NODELAY NOT SUPPORTED"

# What tritonserver logs as an error or a warning wherever there is no GPU, although nothing is wrong.
MESSAGES_WITHOUT_GPU = (
    r"CudaDriverHelper has not been initialized"
    r"|unable to create stream for .*: CUDA driver version is insufficient"
    r"|failed to allocate pinned system memory: no pinned memory pool"
)

# OpenBLAS and MKL follow it where their own variables are not set, and so does PyTorch.
THREADS = "OMP_NUM_THREADS"

# None of Triton's HTTP threads ever waits for a model, so more of them than there are processors only take turns, which
# costs time: on two processors two threads answer more small requests than one, four or eight do.
STOCK_THREADS = 8
FEWEST_THREADS = 2

LOOPBACK = "127.0.0.1"
ANYWHERE = "0.0.0.0"  # noqa: S104 (only where the user asked for the port to be exposed)


@dataclass(frozen=True)
class Port:
    """A TCP port of one of Triton's front ends.

    Attributes:
        number: the port.
        exposed: whether it is exposed outside the container.
    """

    number: int
    exposed: bool = False

    @property
    def host(self) -> str:
        """Return the address to listen on."""
        return ANYWHERE if self.exposed else LOOPBACK

    @property
    def address(self) -> str:
        """Return where it is reached inside the container: `127.0.0.1:8000`."""
        return f"{LOOPBACK}:{self.number}"


@dataclass(frozen=True)
class Socket:
    """A Unix socket of Triton's HTTP front end: it takes less processor time for each request than a port.

    Attributes:
        path: the socket.
    """

    path: Path

    @property
    def address(self) -> str:
        """Return where it is reached, as HAProxy writes it: `unix@/path`."""
        return f"unix@{self.path}"


@dataclass(frozen=True)
class SageMakerPort:
    """Triton's own SageMaker front end.

    Attributes:
        number: the SageMaker port.
        safe_port_range: the ports that the platform leaves to the container; None where it doesn't say.
    """

    number: int
    safe_port_range: PortRange | None


@dataclass(frozen=True)
class FrontEnds:
    """Where tritonserver listens. None: that front end is not there."""

    http: Port | Socket | None = None
    grpc: Port | None = None
    metrics: Port | None = None
    sagemaker: SageMakerPort | None = None


def tritonserver_arguments(
    settings: Settings,
    *,
    repositories: tuple[Path, ...],
    models: tuple[str, ...],
    front_ends: FrontEnds,
    namespacing: bool,
    gpus: int,
    processors: int,
    python_backends: frozenset[str],
    shared_memory_prefix: str,
    exit_timeout_seconds: int,
) -> tuple[str, ...]:
    """Return the whole command line.

    Args:
        settings: the variables.
        repositories: the model repositories.
        models: the models to load at the start.
        front_ends: where it listens.
        namespacing: whether models of the same name in different repositories are kept apart.
        gpus: number of GPUs of this machine.
        processors: number of processors that may be used.
        python_backends: the backends of which every instance is a process of its own.
        shared_memory_prefix: what the names of their shared memory begin with.
        exit_timeout_seconds: how long Triton itself lets requests in flight finish once it is told to stop.
    """
    return (
        str(settings.tritonserver),
        *(f"--model-repository={directory}" for directory in repositories),
        "--model-control-mode=explicit",
        *(f"--load-model={name}" for name in models),
        f"--backend-directory={settings.install_dir / 'backends'}",
        f"--exit-timeout-secs={exit_timeout_seconds}",
        f"--model-namespacing={_flag(namespacing)}",
        *_http(front_ends.http, settings.thread_count or max(FEWEST_THREADS, min(processors, STOCK_THREADS))),
        *_port("grpc", front_ends.grpc),
        *_port("metrics", front_ends.metrics),
        *_sagemaker(front_ends.sagemaker, settings.thread_count or STOCK_THREADS),
        *_logging(settings),
        *_python_backends(settings, python_backends, shared_memory_prefix),
        *_resources(settings, gpus),
        *settings.additional_args,
    )


def tritonserver_environment(settings: Settings, environment: Mapping[str, str], threads: int | None) -> dict[str, str]:
    """Return the environment of tritonserver: the container's, its libraries, and what its SageMaker port reads.

    Args:
        settings: the variables.
        environment: the container's.
        threads: how many threads numerical libraries take in each process, where the container does not say; None:
            as many as they like.
    """
    libraries = [str(settings.install_dir / "lib"), environment.get("LD_LIBRARY_PATH", "")]
    return {
        **environment,
        **({} if threads is None or environment.get(THREADS, "").strip() else {THREADS: str(threads)}),
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
        # Python's own files beside a model's code make Triton take the model for changed, and load it a second time.
        "PYTHONDONTWRITEBYTECODE": "1",
        "SAGEMAKER_TRITON_PING_MODE": settings.ping_mode,
        "SAGEMAKER_TRITON_INFERENCE_TYPE": settings.inference_type,
    }


def _http(http: Port | Socket | None, threads: int) -> Iterator[str]:
    yield f"--allow-http={_flag(http is not None)}"
    if http is None:
        return
    if isinstance(http, Socket):
        yield f"--http-address=unix:{http.path}"
    else:
        yield f"--http-address={http.host}"
        yield f"--http-port={http.number}"
    yield f"--http-thread-count={threads}"
    yield f"--http-header-forward-pattern={HEADER_PATTERN}"


def _port(name: str, port: Port | None) -> Iterator[str]:
    yield f"--allow-{name}={_flag(port is not None)}"
    if port is not None:
        yield f"--{name}-address={port.host}"
        yield f"--{name}-port={port.number}"


def _sagemaker(sagemaker_port: SageMakerPort | None, threads: int) -> Iterator[str]:
    yield f"--allow-sagemaker={_flag(sagemaker_port is not None)}"
    if sagemaker_port is None:
        return
    yield f"--sagemaker-port={sagemaker_port.number}"
    yield f"--sagemaker-thread-count={threads}"
    if sagemaker_port.safe_port_range is not None:
        yield f"--sagemaker-safe-port-range={sagemaker_port.safe_port_range}"


def _logging(settings: Settings) -> Iterator[str]:
    yield f"--log-verbose={settings.log_verbose}"
    yield f"--log-info={_flag(settings.log_info)}"
    yield f"--log-warning={_flag(settings.log_warning)}"
    yield f"--log-error={_flag(settings.log_error)}"


def _python_backends(settings: Settings, backends: frozenset[str], prefix: str) -> Iterator[str]:
    for backend in sorted(backends):
        yield f"--backend-config={backend},shm-default-byte-size={settings.shm_default_byte_size}"
        yield f"--backend-config={backend},shm-growth-byte-size={settings.shm_growth_byte_size}"
        yield f"--backend-config={backend},shm-region-prefix-name={prefix}"


def _resources(settings: Settings, gpus: int) -> Iterator[str]:
    if gpus == 0:  # else Triton looks for them at every start, and warns
        yield "--allow-gpu-metrics=false"
        yield "--pinned-memory-pool-byte-size=0"
    if settings.tensorflow_version is not None:
        yield f"--backend-config=tensorflow,version={settings.tensorflow_version}"
    if settings.buffer_manager_thread_count is not None:
        yield f"--buffer-manager-thread-count={settings.buffer_manager_thread_count}"
    if settings.model_load_gpu_limit is not None:
        yield from (f"--model-load-gpu-limit={gpu}:{settings.model_load_gpu_limit}" for gpu in range(gpus))


def _flag(value: bool) -> str:
    return "true" if value else "false"
