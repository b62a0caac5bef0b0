"""Where Triton's front ends listen: on the ports that were asked for, on Triton's own, or on free ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from serve.plan.endpoint import Endpoint, FrontEnd, Gateway, MultiModel
from serve.settings import Settings, SettingsError
from serve.triton.command import Port, Socket

__all__ = ["Service", "http_socket", "ports"]

Service = Literal["http", "grpc", "metrics"]

STOCK: dict[Service, int] = {"http": 8000, "grpc": 8001, "metrics": 8002}


def http_socket(settings: Settings, path: Path) -> Socket | None:
    """Return the Unix socket by which the gateway reaches Triton's HTTP; None where HTTP has a port.

    Args:
        settings: the variables.
        path: where the socket would be.
    """
    has_port = settings.allow_http or settings.http_port is not None
    return None if has_port else Socket(path)


def ports(
    settings: Settings, endpoint: Endpoint, front_end: FrontEnd, free_ports: Iterable[int]
) -> dict[Service, Port]:
    """Give a port to each of Triton's front ends that is exposed or that the gateway needs.

    Args:
        settings: the variables.
        endpoint: what is served.
        front_end: who answers SageMaker.
        free_ports: ports that nobody listens on, of those that the settings allow.

    Raises:
        SettingsError: there are too few free ports.
    """
    exposed = {name for name, is_exposed in _exposed(settings).items() if is_exposed}
    wanted = exposed | set(_needed(settings, endpoint, front_end))
    given: dict[Service, int] = {}
    for name in STOCK:
        if name in wanted and (asked := _asked(settings)[name]) is not None:
            given[name] = asked
        elif name in exposed and settings.safe_port_range is None:
            given[name] = STOCK[name]
    missing = [name for name in STOCK if name in wanted and name not in given]
    given |= zip(missing, _pick(settings, missing, free_ports), strict=True)
    return {name: Port(given[name], exposed=name in exposed) for name in STOCK if name in given}


def _exposed(settings: Settings) -> dict[Service, bool]:
    return {"http": settings.allow_http, "grpc": settings.allow_grpc, "metrics": settings.allow_metrics}


def _asked(settings: Settings) -> dict[Service, int | None]:
    return {"http": settings.http_port, "grpc": settings.grpc_port, "metrics": settings.metrics_port}


def _needed(settings: Settings, endpoint: Endpoint, front_end: FrontEnd) -> Iterator[Service]:
    if not isinstance(front_end, Gateway):
        return
    if settings.http_port is not None:  # else there is a socket
        yield "http"
    if isinstance(endpoint, MultiModel):
        yield "grpc"
    yield "metrics"


def _pick(settings: Settings, services: list[Service], free_ports: Iterable[int]) -> list[int]:
    named = {settings.bind_to_port, *_asked(settings).values()}
    free = [port for port in free_ports if port not in named]
    if len(free) < len(services):
        allowed = settings.inner_ports
        name = "SAGEMAKER_SAFE_PORT_RANGE" if settings.safe_port_range else "the default port range"
        raise SettingsError(
            f"{name}={str(allowed)!r}: expected a free port for each of Triton's {', '.join(services)}, "
            f"found {len(free)} free"
        )
    return free[: len(services)]
