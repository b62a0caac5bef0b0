"""What the app is told when it is started."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

__all__ = ["AppOptions"]


@dataclass(frozen=True)
class AppOptions:
    """The app's options; they travel as one JSON argument.

    Attributes:
        port: the SageMaker port, where the app is the front door itself; None behind HAProxy.
        socket: path of the Unix socket it listens on behind HAProxy; None without it.
        triton_http: base URL of Triton's HTTP front end.
        triton_metrics: URL of Triton's metrics.
        haproxy_metrics: path of the Unix socket of HAProxy's metrics; None without HAProxy.
        default_model: the model behind `/invocations`.
        inference_type: `infer`, `generate` or `generate_stream`.
        ping_mode: `ready` or `live`.
        watched_models: further models that must be ready.
        max_concurrent_transforms: what `/execution-parameters` proposes to batch transform.
        drain_seconds: how long requests in flight may take once the app is told to stop.
    """

    port: int | None
    socket: str | None
    triton_http: str
    triton_metrics: str
    haproxy_metrics: str | None
    default_model: str
    inference_type: str
    ping_mode: str
    watched_models: tuple[str, ...]
    max_concurrent_transforms: int
    drain_seconds: int

    def to_json(self) -> str:
        """Return the options as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> AppOptions:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "watched_models": tuple(values["watched_models"])})
