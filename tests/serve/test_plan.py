"""From settings and a repository to what will be started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serve.app.options import AppOptions
from serve.plan import Machine, Plan, make_plan
from serve.repository import Repository
from serve.settings import Settings, SettingsError

REPOSITORY = Repository(Path("/opt/ml/model"), "resnet", ("encoder", "resnet"))


def machine(*, haproxy: str | None = "/usr/sbin/haproxy", gpus: int = 0, busy: tuple[int, ...] = ()) -> Machine:
    environment = {"PATH": "/bin", "LD_LIBRARY_PATH": "/usr/local/lib", "SECRET": "hidden"}
    return Machine(gpus, haproxy, lambda port: port not in busy, Path("/run/serve"), environment)


def plan(on: Machine | None = None, **environment: str) -> Plan:
    names = {f"SAGEMAKER_TRITON_{name}": value for name, value in environment.items() if not name.startswith("SAGE")}
    given = {name: value for name, value in environment.items() if name.startswith("SAGE")}
    return make_plan(Settings.from_environment({**names, **given}), REPOSITORY, on or machine())


def flags(made: Plan) -> dict[str, str]:
    """Return tritonserver's arguments by name; of one that is repeated, the last."""
    return dict(argument.removeprefix("--").partition("=")[::2] for argument in made.children[0].arguments[1:])


def options(made: Plan) -> AppOptions:
    return AppOptions.from_json(made.children[1].arguments[-1])


def test_the_gateway_is_three_programs() -> None:
    made = plan()
    assert [child.name for child in made.children] == ["tritonserver", "app", "haproxy"]
    assert (made.port, options(made).port, options(made).socket) == (8080, None, "/run/serve/app.sock")
    assert made.warnings == ()
    assert list(made.files) == [Path("/run/serve/haproxy.cfg"), Path("/run/serve/tenants.map")]


def test_without_haproxy_the_app_has_the_port_and_it_is_said() -> None:
    made = plan(machine(haproxy=None), SAGEMAKER_BIND_TO_PORT="9000")
    assert [child.name for child in made.children] == ["tritonserver", "app"]
    assert (options(made).port, options(made).socket, options(made).haproxy_metrics) == (9000, None, None)
    assert (made.files, made.admin_socket) == ({}, None)
    assert made.warnings == ("HAProxy is not installed: the app answers every request itself, which is slower",)


def test_native_is_tritonserver_alone() -> None:
    made = plan(FRONTEND="native", SAGEMAKER_BIND_TO_PORT="9000", SAGEMAKER_SAFE_PORT_RANGE="21000-21999")
    assert [child.name for child in made.children] == ["tritonserver"]
    given = flags(made)
    assert (given["allow-sagemaker"], given["sagemaker-port"], given["allow-http"]) == ("true", "9000", "false")
    assert given["sagemaker-safe-port-range"] == "21000-21999"
    assert given["exit-timeout-secs"] == "25"


def test_the_gateway_opens_nothing_but_its_port() -> None:
    given = flags(plan())
    assert (given["allow-sagemaker"], given["allow-grpc"]) == ("false", "false")
    assert (given["http-address"], given["metrics-address"]) == ("127.0.0.1", "127.0.0.1")


@pytest.mark.parametrize("frontend", ["gateway", "native"])
def test_every_inner_port_is_of_the_safe_range(frontend: str) -> None:
    made = plan(
        machine(busy=(30000, 30002)),
        FRONTEND=frontend,
        SAGEMAKER_SAFE_PORT_RANGE="30000-30009",
        SAGEMAKER_BIND_TO_PORT="30001",
        **{f"ALLOW_{name}": "true" for name in ("HTTP", "GRPC", "METRICS")},
    )
    ports = [int(value) for name, value in flags(made).items() if name in ("http-port", "grpc-port", "metrics-port")]
    assert sorted(ports) == [30003, 30004, 30005]


def test_ports_offered_without_a_safe_range_are_tritons_own() -> None:
    given = flags(plan(ALLOW_HTTP="true", ALLOW_GRPC="true", ALLOW_METRICS="true", GRPC_PORT="9001"))
    assert [given[f"{name}-port"] for name in ("http", "grpc", "metrics")] == ["8000", "9001", "8002"]
    assert given["http-address"] == "0.0.0.0"


def test_a_safe_range_that_is_full() -> None:
    with pytest.raises(SettingsError) as error:
        plan(machine(busy=(30001,)), SAGEMAKER_SAFE_PORT_RANGE="30000-30001")
    assert str(error.value) == "SAGEMAKER_SAFE_PORT_RANGE='30000-30001': expected more free ports, all are in use"


def test_a_range_of_two_is_enough() -> None:
    given = flags(plan(SAGEMAKER_SAFE_PORT_RANGE="30000-30001"))
    assert (given["http-port"], given["metrics-port"]) == ("30000", "30001")


@pytest.mark.parametrize(("value", "namespacing"), [("true", "false"), ("false", "true"), ("", "true")])
def test_disable_model_namespacing_disables_it(value: str, namespacing: str) -> None:
    """Stock does the opposite of what the name says."""
    assert flags(plan(DISABLE_MODEL_NAMESPACING=value))["model-namespacing"] == namespacing


def test_values_are_never_split_into_words() -> None:
    with pytest.raises(SettingsError):
        plan(LOG_INFO="false --load-model=encoder")


def test_additional_arguments_are_split_as_a_shell_would_and_come_last() -> None:
    made = plan(ADDITIONAL_ARGS="--rate-limit=execution_count --trace-config='triton,file=/tmp/a b'")
    assert made.children[0].arguments[-2:] == ("--rate-limit=execution_count", "--trace-config=triton,file=/tmp/a b")


def test_models_to_load() -> None:
    made = plan(LOAD_MODELS="encoder,resnet")
    loaded = [argument for argument in made.children[0].arguments if argument.startswith("--load-model=")]
    assert loaded == ["--load-model=resnet", "--load-model=encoder"]
    assert options(made).watched_models == ("resnet", "encoder")


def test_a_model_to_load_that_is_not_there() -> None:
    with pytest.raises(
        SettingsError, match="'decoder' is not in the model directory, expected some of encoder, resnet"
    ):
        plan(LOAD_MODELS="decoder")


@pytest.mark.parametrize(
    ("environment", "name", "value"),
    [
        ({}, "log-verbose", "0"),
        ({"LOG_VERBOSE": "true"}, "log-verbose", "1"),
        ({}, "log-info", "false"),
        ({"LOG_WARNING": "false"}, "log-warning", "false"),
        ({"LOG_ERROR": "false"}, "log-error", "false"),
        ({"THREAD_COUNT": "3"}, "http-thread-count", "3"),
        ({"THREAD_COUNT": "3", "FRONTEND": "native"}, "sagemaker-thread-count", "3"),
        ({"BUFFER_MANAGER_THREAD_COUNT": "2"}, "buffer-manager-thread-count", "2"),
        ({}, "http-header-forward-pattern", "(?i)x-amzn-sagemaker-.*"),
    ],
)
def test_variables_that_are_tritons_flags(environment: dict[str, str], name: str, value: str) -> None:
    assert flags(plan(None, **environment))[name] == value


def test_backends_are_told_their_settings() -> None:
    made = plan(SHM_DEFAULT_BYTE_SIZE="4194304", SHM_GROWTH_BYTE_SIZE="2097152", TENSORFLOW_VERSION="2")
    assert {
        "--backend-config=python,shm-default-byte-size=4194304",
        "--backend-config=python,shm-growth-byte-size=2097152",
        "--backend-config=tensorflow,version=2",
    } <= set(made.children[0].arguments)


def test_the_gpu_limit_is_each_gpus() -> None:
    made = plan(machine(gpus=2), MODEL_LOAD_GPU_LIMIT="0.8")
    limits = [argument for argument in made.children[0].arguments if "gpu-limit" in argument]
    assert limits == ["--model-load-gpu-limit=0:0.8", "--model-load-gpu-limit=1:0.8"]
    assert flags(plan(MODEL_LOAD_GPU_LIMIT="0.8")).get("model-load-gpu-limit") is None


def test_what_is_hidden_without_a_gpu_is_shown_with_one() -> None:
    assert plan(machine(gpus=0)).children[0].noise
    assert plan(machine(gpus=1)).children[0].noise is None


def test_the_environment_of_tritonserver() -> None:
    environment = plan(OVERRIDE_PING_MODE="live").children[0].environment
    assert environment is not None
    assert environment["LD_LIBRARY_PATH"] == "/opt/tritonserver/lib:/usr/local/lib"
    assert environment["SAGEMAKER_TRITON_PING_MODE"] == "live"
    assert environment["SAGEMAKER_TRITON_DEFAULT_MODEL_NAME"] == "resnet"
    assert environment["SECRET"] == "hidden"


def test_the_description_shows_all_but_the_environment() -> None:
    made = plan(ADDITIONAL_ARGS="--a='b c'")
    shown = made.describe()
    for child in made.children:
        assert f"start {child.name}:" in shown
        assert all(f"    {argument}\n" in shown for argument in child.arguments)
    assert "hidden" not in shown


def test_the_apps_options_survive_their_journey() -> None:
    for made in (plan(LOAD_MODELS="encoder"), plan(SAGEMAKER_MULTI_MODEL="true")):
        given = options(made)
        assert AppOptions.from_json(given.to_json()) == given
        assert json.loads(given.to_json())["drain_seconds"] == 25


@pytest.mark.parametrize("processors", [1, 2, 4, 16])
def test_the_plan_is_the_same_every_time(processors: int) -> None:
    on = Machine(0, "haproxy", lambda _: True, Path("/run/serve"), {}, processors)
    assert plan(on) == plan(on)
