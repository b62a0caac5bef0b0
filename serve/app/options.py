"""What the app is told when it is started."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from serve.repository import Runtime

__all__ = ["AppOptions", "MultiModelOptions"]


@dataclass(frozen=True)
class MultiModelOptions:
    """What the app of a multi-model endpoint is told besides.

    Attributes:
        triton_grpc: `host:port` of Triton's gRPC front end.
        models_dir: where SageMaker puts archives.
        tenant_repository: the model repository that tenants are written to.
        records_dir: where loaded tenants are recorded.
        table: HAProxy's table of tenants.
        admin_socket: HAProxy's command socket; None without HAProxy.
        shared_models: the models that the image shares among tenants.
        shm_bytes: shared memory that each process of a Python model starts with.
    """

    triton_grpc: str
    models_dir: str
    tenant_repository: str
    records_dir: str
    table: str
    admin_socket: str | None
    shared_models: tuple[str, ...]
    shm_bytes: int


@dataclass(frozen=True)
class AppOptions:
    """The app's options; they travel as one JSON argument.

    Attributes:
        port: the SageMaker port, where the app is the front door itself; None behind HAProxy.
        socket: path of the Unix socket it listens on behind HAProxy; None without it.
        triton_http: where Triton's HTTP front end listens: `unix@/path` or `127.0.0.1:8000`.
        triton_metrics: URL of Triton's metrics.
        haproxy_metrics: path of the Unix socket of HAProxy's metrics; None without HAProxy.
        default_model: the model behind `/invocations`; None on a multi-model endpoint.
        inference_type: `infer`, `generate` or `generate_stream`.
        ping_mode: `ready` or `live`.
        watched_models: further models that must be ready.
        python_backends: the backends of which every instance is a process of its own.
        gpus: number of GPUs.
        max_concurrent_transforms: what `/execution-parameters` proposes to batch transform.
        drain_seconds: how long requests in flight may take once the app is told to stop.
        multi_model: more for a multi-model endpoint; None on any other.
    """

    port: int | None
    socket: str | None
    triton_http: str
    triton_metrics: str
    haproxy_metrics: str | None
    default_model: str | None
    inference_type: str
    ping_mode: str
    watched_models: tuple[str, ...]
    python_backends: tuple[str, ...]
    gpus: int
    max_concurrent_transforms: int
    drain_seconds: int
    multi_model: MultiModelOptions | None

    @property
    def runtime(self) -> Runtime:
        """What decides how many processes a model runs in."""
        return Runtime(frozenset(self.python_backends), self.gpus)

    def to_json(self) -> str:
        """Return the options as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> AppOptions:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        for name in ("watched_models", "python_backends"):
            values[name] = tuple(values[name])
        if (more := values["multi_model"]) is not None:
            values["multi_model"] = MultiModelOptions(**{**more, "shared_models": tuple(more["shared_models"])})
        return cls(**values)
