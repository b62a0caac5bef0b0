"""What the app is told when it is started."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

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
        on_cpu: whether there is no GPU.
        shm_bytes: shared memory that each process of a Python model starts with.
    """

    triton_grpc: str
    models_dir: str
    tenant_repository: str
    records_dir: str
    table: str
    admin_socket: str | None
    shared_models: tuple[str, ...]
    on_cpu: bool
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
    max_concurrent_transforms: int
    drain_seconds: int
    multi_model: MultiModelOptions | None

    def to_json(self) -> str:
        """Return the options as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> AppOptions:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        values["watched_models"] = tuple(values["watched_models"])
        if (more := values["multi_model"]) is not None:
            values["multi_model"] = MultiModelOptions(**{**more, "shared_models": tuple(more["shared_models"])})
        return cls(**values)
