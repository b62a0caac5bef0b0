"""Which ports Triton's front ends get."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve.plan.endpoint import Endpoint, FrontEnd, Gateway, MultiModel, Native, SingleModel
from serve.plan.ports import http_socket, ports
from serve.repository import Repository
from serve.settings import PortRange, Settings, SettingsError
from serve.triton.command import Port, Socket

SINGLE = SingleModel(Repository(Path("/opt/ml/model"), "resnet", ("resnet",)))
MULTI = MultiModel(Repository(Path("/opt/model_repository"), None, ()))
FREE = (21000, 21001, 21002)
RANGE = PortRange(21000, 21009)


@pytest.mark.parametrize(
    ("endpoint", "front_end", "expected"),
    [
        (SINGLE, Gateway("haproxy"), {"metrics": Port(21000)}),
        (MULTI, Gateway(None), {"grpc": Port(21000), "metrics": Port(21001)}),
        (SINGLE, Native(), {}),
        (MULTI, Native(), {}),
    ],
)
def test_what_the_gateway_needs(endpoint: Endpoint, front_end: FrontEnd, expected: dict[str, Port]) -> None:
    assert ports(Settings(), endpoint, front_end, FREE) == expected


@pytest.mark.parametrize("front_end", [Gateway("haproxy"), Native()])
def test_what_is_exposed(front_end: FrontEnd) -> None:
    settings = Settings(allow_http=True, allow_grpc=True, allow_metrics=True, grpc_port=9001)
    assert ports(settings, SINGLE, front_end, FREE) == {
        "http": Port(8000, exposed=True),
        "grpc": Port(9001, exposed=True),
        "metrics": Port(8002, exposed=True),
    }


def test_what_is_exposed_within_a_safe_range() -> None:
    settings = Settings(safe_port_range=RANGE, allow_http=True, allow_metrics=True)
    assert ports(settings, SINGLE, Native(), FREE) == {
        "http": Port(21000, exposed=True),
        "metrics": Port(21001, exposed=True),
    }


def test_a_port_that_was_named_is_given_to_nobody_else() -> None:
    settings = Settings(safe_port_range=RANGE, bind_to_port=21000, http_port=21002)
    assert ports(settings, MULTI, Gateway(None), (*FREE, 21003)) == {
        "http": Port(21002),
        "grpc": Port(21001),
        "metrics": Port(21003),
    }


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (Settings(safe_port_range=RANGE), "SAGEMAKER_SAFE_PORT_RANGE='21000-21009'"),
        (Settings(), "the default port range='21000-21999'"),
    ],
)
def test_too_few_free_ports(settings: Settings, name: str) -> None:
    with pytest.raises(SettingsError) as error:
        ports(settings, MULTI, Gateway("haproxy"), FREE[:1])
    assert str(error.value) == f"{name}: expected a free port for each of Triton's grpc, metrics, found 1 free"


@pytest.mark.parametrize(
    ("settings", "socket"),
    [
        (Settings(), Socket(Path("/run/triton.sock"))),
        (Settings(allow_http=True), None),
        (Settings(http_port=8000), None),
    ],
)
def test_the_socket_is_used_unless_http_has_a_port(settings: Settings, socket: Socket | None) -> None:
    assert http_socket(settings, Path("/run/triton.sock")) == socket
