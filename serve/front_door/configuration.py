"""Renders HAProxy's configuration."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from serve import sagemaker
from serve.codecs import kserve
from serve.front_door import memory_flag
from serve.settings import InferenceType
from serve.triton import errors as triton_errors

__all__ = ["ERRORS", "STOP_MESSAGES", "FrontDoor", "ServedModel", "TenantMaps", "render"]

# What HAProxy writes, twice, for each of its parts when it stops.
STOP_MESSAGES = r"Proxy .+ stopped \(cumulated conns"

# What HAProxy answers by itself, in place of its HTML pages. No single quotes: they end a string in the configuration.
ERRORS = {
    400: "the request is not valid HTTP",
    403: "forbidden",
    405: "method not allowed",
    408: "the request did not arrive in time: send the whole body, or check Content-Length",
    413: "the request is too large",
    425: "too early",
    429: "too many requests",
    500: "the front door failed",
    501: "not implemented",
    502: "the server behind the front door (tritonserver or the app) closed the connection before it answered: "
    "see the log of the container",
    503: "the server behind the front door does not accept requests: it is starting or stopping, see /ping",
    504: "the model did not answer in time",
}


@dataclass(frozen=True)
class ServedModel:
    """What `/invocations` runs.

    Attributes:
        name: the model's name in Triton.
    """

    name: str


@dataclass(frozen=True)
class TenantMaps:
    """The maps of a multi-model endpoint, which the app keeps up to date.

    Attributes:
        tenants: the file of the tenant map, see `TenantMap`.
        memory: the file of the map behind `MemoryFlag`.
    """

    tenants: Path
    memory: Path


@dataclass(frozen=True)
class FrontDoor:
    """What the front door needs to know.

    Attributes:
        port: the SageMaker port.
        triton: where Triton's HTTP front end listens, as HAProxy writes it: `127.0.0.1:8000` or `unix@/path`.
        serves: what invocations run.
        inference_type: which of Triton's endpoints an invocation is for, where the request does not tell.
        app_socket, metrics_socket, admin_socket: Unix sockets: the app's, HAProxy's metrics, HAProxy's commands.
        drain_seconds: how long requests in flight may take once it stops.
        body_seconds: how long a client may take to send a body.
        answer_seconds: how long a model may take to answer; SageMaker itself gives up after 60 s, asynchronous
            endpoints after an hour.
        threads: HAProxy's threads. Threads that share few processors cost more than they bring.
    """

    port: int
    triton: str
    serves: ServedModel | TenantMaps
    inference_type: InferenceType
    app_socket: Path
    metrics_socket: Path
    admin_socket: Path
    drain_seconds: int
    body_seconds: int = sagemaker.ANSWER_SECONDS
    answer_seconds: int = sagemaker.ASYNC_ANSWER_SECONDS
    threads: int = 1


def render(front_door: FrontDoor) -> str:
    """Return haproxy.cfg."""
    loader = PackageLoader("serve.front_door", "")
    environment = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 (not HTML)
    return environment.get_template("haproxy.cfg.j2").render(
        vars(front_door),
        **_invoked(front_door.serves),
        errors={status: json.dumps({"error": message}) for status, message in ERRORS.items()},
        dead_process=triton_errors.DEAD_PROCESS,
        binary_type=sagemaker.BINARY_JSON,
        binary_json=sagemaker.BINARY_JSON_PATTERN,
        binary_json_prefix=sagemaker.BINARY_JSON_PREFIX,
        event_stream=sagemaker.EVENT_STREAM,
        inference_id=sagemaker.INFERENCE_ID,
        invocations=sagemaker.INVOCATIONS,
        models=sagemaker.MODELS,
        ping=sagemaker.PING,
        header_length=kserve.HEADER_LENGTH,
        header_prefix=sagemaker.HEADER_PREFIX,
        json_object=kserve.JSON_OBJECT,
        kserve_json=kserve.JSON_START,
        out_of_memory=triton_errors.OUT_OF_MEMORY,
        unreadable=triton_errors.UNREADABLE,
    )


def _invoked(serves: ServedModel | TenantMaps) -> dict[str, object]:
    if isinstance(serves, ServedModel):
        return {"multi_model": False, "quoted_model": quote(serves.name, safe="")}
    return {
        "multi_model": True,
        "tenant_map": serves.tenants,
        "memory_map": serves.memory,
        "memory_key": memory_flag.KEY,
    }
