"""The tritonserver command line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from serve import sagemaker
from serve.settings import Settings

__all__ = [
    "HEADER_PATTERN",
    "NOISE_OF_SOCKET",
    "NOISE_WITHOUT_GPU",
    "SHARED_MEMORY",
    "STOCK_THREADS",
    "TritonPorts",
    "tritonserver_arguments",
    "tritonserver_environment",
]

# Which HTTP headers reach models, as request parameters. HAProxy lower-cases header names on the way.
HEADER_PATTERN = f"(?i){sagemaker.HEADER_PREFIX}.*"

# What tritonserver's HTTP library prints for every connection to a Unix socket, to which Nagle's delay is unknown.
NOISE_OF_SOCKET = "NODELAY NOT SUPPORTED"

# What tritonserver logs as an error or a warning wherever there is no GPU, although nothing is wrong.
NOISE_WITHOUT_GPU = (
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

# Where the Python backend keeps what it shares with the processes of its models.
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108

LOOPBACK = "127.0.0.1"
ANYWHERE = "0.0.0.0"  # noqa: S104 (only where the user asked for the port to be offered)


@dataclass(frozen=True)
class TritonPorts:
    """Where Triton's own front ends listen. None: not there.

    Attributes:
        http, grpc, metrics: TCP ports.
        http_socket: a Unix socket instead of the HTTP port, which takes less processor time for each request.
    """

    http: int | None
    grpc: int | None
    metrics: int | None
    http_socket: Path | None = None

    @property
    def http_address(self) -> str:
        """Return where HTTP is reached inside, as HAProxy writes it: `unix@/path` or `127.0.0.1:8000`."""
        return f"unix@{self.http_socket}" if self.http_socket is not None else f"{LOOPBACK}:{self.http}"


def tritonserver_arguments(
    settings: Settings,
    *,
    repositories: tuple[Path, ...],
    models: tuple[str, ...],
    ports: TritonPorts,
    gpus: int,
    processors: int,
    python_backends: frozenset[str],
    shared_memory_prefix: str,
    exit_timeout_seconds: int,
) -> tuple[str, ...]:
    """Return the whole command line.

    Args:
        repositories: the model repositories.
        models: the models to load at the start.
        ports: where Triton's own front ends listen.
        gpus: number of GPUs of this machine.
        processors: number of processors that may be used.
        python_backends: the backends of which every instance is a process of its own.
        shared_memory_prefix: what the names of their shared memory begin with.
        exit_timeout_seconds: how long Triton itself lets requests in flight finish once it is told to stop.
    """
    return (
        str(settings.install_dir / "bin" / "tritonserver"),
        *(f"--model-repository={directory}" for directory in repositories),
        "--model-control-mode=explicit",
        *(f"--load-model={name}" for name in models),
        f"--backend-directory={settings.install_dir / 'backends'}",
        f"--exit-timeout-secs={exit_timeout_seconds}",
        f"--model-namespacing={_flag(_namespacing(settings))}",
        *_front_ends(settings, ports, processors),
        *_logging(settings),
        *_python_backends(settings, python_backends, shared_memory_prefix),
        *_resources(settings, gpus),
        *settings.additional_args,
    )


def tritonserver_environment(
    settings: Settings, environment: Mapping[str, str], default_model: str | None, threads: int | None
) -> dict[str, str]:
    """Return the environment of tritonserver: the container's, its libraries, and what its SageMaker port reads.

    Args:
        settings: the variables.
        environment: the container's.
        default_model: the model that `/invocations` runs.
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
        **({} if default_model is None else {"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": default_model}),
        "SAGEMAKER_TRITON_PING_MODE": settings.ping_mode,
        "SAGEMAKER_TRITON_INFERENCE_TYPE": settings.inference_type,
        "SAGEMAKER_MULTI_MODEL": _flag(settings.multi_model),
    }


def _namespacing(settings: Settings) -> bool:
    # Tenants are kept apart by their names, and their ensembles use models of another repository: the shared ones.
    ours = settings.multi_model and settings.frontend == "gateway"
    return not ours and not settings.disable_model_namespacing


def _front_ends(settings: Settings, ports: TritonPorts, processors: int) -> Iterator[str]:
    yield f"--allow-http={_flag(ports.http is not None or ports.http_socket is not None)}"
    if ports.http_socket is not None:
        yield f"--http-address=unix:{ports.http_socket}"
    if ports.http is not None:
        yield f"--http-address={ANYWHERE if settings.allow_http else LOOPBACK}"
        yield f"--http-port={ports.http}"
    if ports.http is not None or ports.http_socket is not None:
        yield f"--http-thread-count={settings.thread_count or max(FEWEST_THREADS, min(processors, STOCK_THREADS))}"
        yield f"--http-header-forward-pattern={HEADER_PATTERN}"
    yield f"--allow-grpc={_flag(ports.grpc is not None)}"
    if ports.grpc is not None:
        yield f"--grpc-address={ANYWHERE if settings.allow_grpc else LOOPBACK}"
        yield f"--grpc-port={ports.grpc}"
    yield f"--allow-metrics={_flag(ports.metrics is not None)}"
    if ports.metrics is not None:
        yield f"--metrics-address={ANYWHERE if settings.allow_metrics else LOOPBACK}"
        yield f"--metrics-port={ports.metrics}"
    native = settings.frontend == "native"
    yield f"--allow-sagemaker={_flag(native)}"
    if native:
        yield f"--sagemaker-port={settings.bind_to_port}"
        yield f"--sagemaker-thread-count={settings.thread_count or STOCK_THREADS}"
        if settings.safe_port_range:
            yield f"--sagemaker-safe-port-range={settings.safe_port_range}"


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
