"""What the app is told when it is started."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from serve.repository import Runtime
from serve.settings import InferenceType, PingMode

__all__ = ["AppOptions", "BehindHAProxy", "MultiModelOptions", "OnPort", "SingleModelOptions"]


@dataclass(frozen=True)
class OnPort:
    """Without HAProxy: the app itself is the front door.

    Attributes:
        port: the SageMaker port.
    """

    port: int


@dataclass(frozen=True)
class BehindHAProxy:
    """HAProxy is the front door, and hands on to the app what Triton does not understand. Paths of Unix sockets.

    Attributes:
        socket: where the app listens.
        metrics_socket: HAProxy's metrics.
        admin_socket: HAProxy's commands.
    """

    socket: str
    metrics_socket: str
    admin_socket: str


@dataclass(frozen=True)
class SingleModelOptions:
    """One model behind `/invocations`.

    Attributes:
        default_model: its name.
        watched_models: the models that must be ready, it among them.
    """

    default_model: str
    watched_models: tuple[str, ...]


@dataclass(frozen=True)
class MultiModelOptions:
    """Many models, which SageMaker loads and unloads.

    Attributes:
        triton_grpc: `host:port` of Triton's gRPC front end.
        models_dir: where SageMaker puts archives.
        tenant_repository: the model repository that tenants are written to.
        records_dir: where loaded tenants are recorded.
        tenant_map, memory_map: files of HAProxy's maps; without HAProxy there are none.
        shared_models: the models that the image shares among tenants.
        shm_bytes: shared memory that each process of a Python model starts with.
    """

    triton_grpc: str
    models_dir: str
    tenant_repository: str
    records_dir: str
    tenant_map: str
    memory_map: str
    shared_models: tuple[str, ...]
    shm_bytes: int


@dataclass(frozen=True)
class AppOptions:
    """The app's options; they travel as one JSON argument.

    Attributes:
        serves: one model or many.
        listen: where requests come from.
        triton_http: where Triton's HTTP front end listens: `unix@/path` or `127.0.0.1:8000`.
        triton_metrics: URL of Triton's metrics.
        inference_type: which of Triton's endpoints an invocation is for, where the request does not tell.
        ping_mode: what `/ping` waits for.
        python_backends: the backends of which every instance is a process of its own.
        gpus: number of GPUs.
        max_concurrent_transforms: what `/execution-parameters` proposes to batch transform.
        drain_seconds: how long requests in flight may take once the app is told to stop.
    """

    serves: SingleModelOptions | MultiModelOptions
    listen: OnPort | BehindHAProxy
    triton_http: str
    triton_metrics: str
    inference_type: InferenceType
    ping_mode: PingMode
    python_backends: tuple[str, ...]
    gpus: int
    max_concurrent_transforms: int
    drain_seconds: int

    @property
    def watched_models(self) -> tuple[str, ...]:
        """Return the models that must be ready; none by name on a multi-model endpoint."""
        return self.serves.watched_models if isinstance(self.serves, SingleModelOptions) else ()

    @property
    def endpoint(self) -> str:
        """Return what the log calls the endpoint."""
        return self.serves.default_model if isinstance(self.serves, SingleModelOptions) else "the endpoint"

    @property
    def runtime(self) -> Runtime:
        """What decides how many processes a model runs in."""
        return Runtime(frozenset(self.python_backends), self.gpus)

    def to_json(self) -> str:
        """Return the options as one line."""
        kinds = {"serves": type(self.serves).__name__, "listen": type(self.listen).__name__}
        return json.dumps({**asdict(self), "kinds": kinds})

    @classmethod
    def from_json(cls, text: str) -> AppOptions:
        """Read what `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        kinds = values.pop("kinds")
        values["python_backends"] = tuple(values["python_backends"])
        for key, kind in kinds.items():
            given = {name: tuple(value) if isinstance(value, list) else value for name, value in values[key].items()}
            values[key] = KINDS[kind](**given)
        return cls(**values)


KINDS: dict[str, Callable[..., Any]] = {
    kind.__name__: kind for kind in (OnPort, BehindHAProxy, SingleModelOptions, MultiModelOptions)
}
