"""Plans made from settings and a repository."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from serve.app.options import AppOptions, BehindHAProxy, OnPort, SingleModelOptions
from serve.plan.values import AdminDrain, EndsEndpoint, NoDrain, Restarts, SigtermDrain
from serve.repository import Finding, InstanceGroup, Repository
from serve.settings import SettingsError
from tests.serve.plan.planning import PIPELINE, child, flags, machine, model, options, plan, planned

MIB = 1024 * 1024


def test_the_gateway_is_three_programs() -> None:
    made = plan()
    assert [child.role for child in made.children] == ["tritonserver", "app", "haproxy"]
    assert made.port == 8080
    assert options(made).listen == BehindHAProxy(
        "/run/serve/app.sock", "/run/serve/metrics.sock", "/run/serve/haproxy.sock"
    )
    assert made.warnings == ()
    assert list(made.files) == [Path("/run/serve/haproxy.cfg")]
    maps = [Path("/run/serve/tenants.map"), Path("/run/serve/memory.map")]
    assert list(plan(SAGEMAKER_MULTI_MODEL="true").files) == [Path("/run/serve/haproxy.cfg"), *maps]


def test_without_haproxy_the_app_has_the_port_and_it_is_said() -> None:
    made = plan(machine(haproxy=None), SAGEMAKER_BIND_TO_PORT="9000")
    assert [child.role for child in made.children] == ["tritonserver", "app"]
    assert options(made).listen == OnPort(9000)
    assert made.files == {}
    assert made.warnings == ("HAProxy is not installed: the app answers every request itself, which is slower",)


def test_native_is_tritonserver_alone() -> None:
    made = plan(FRONTEND="native", SAGEMAKER_BIND_TO_PORT="9000", SAGEMAKER_SAFE_PORT_RANGE="21000-21999")
    assert [child.role for child in made.children] == ["tritonserver"]
    given = flags(made)
    assert (given["allow-sagemaker"], given["sagemaker-port"], given["allow-http"]) == ("true", "9000", "false")
    assert given["sagemaker-safe-port-range"] == "21000-21999"
    assert given["exit-timeout-secs"] == "25"


def test_the_gateway_opens_nothing_but_its_port() -> None:
    given = flags(plan())
    assert (given["allow-sagemaker"], given["allow-grpc"]) == ("false", "false")
    assert (given["http-address"], given["metrics-address"]) == ("unix:/run/serve/triton.sock", "127.0.0.1")
    assert "http-port" not in given


def test_a_port_that_was_asked_for_takes_the_place_of_the_socket() -> None:
    made = plan(HTTP_PORT="8000")
    given = flags(made)
    assert (given["http-address"], given["http-port"]) == ("127.0.0.1", "8000")
    assert options(made).triton_http == "127.0.0.1:8000"


@pytest.mark.parametrize("frontend", ["gateway", "native"])
def test_every_inner_port_is_of_the_safe_range(frontend: str) -> None:
    made = plan(
        machine(free_ports=(30001, 30003, 30004, 30005, 30006)),
        FRONTEND=frontend,
        SAGEMAKER_SAFE_PORT_RANGE="30000-30009",
        SAGEMAKER_BIND_TO_PORT="30001",
        **{f"ALLOW_{name}": "true" for name in ("HTTP", "GRPC", "METRICS")},
    )
    ports = [int(value) for name, value in flags(made).items() if name in ("http-port", "grpc-port", "metrics-port")]
    assert sorted(ports) == [30003, 30004, 30005]


def test_ports_exposed_without_a_safe_range_are_tritons_own() -> None:
    given = flags(plan(ALLOW_HTTP="true", ALLOW_GRPC="true", ALLOW_METRICS="true", GRPC_PORT="9001"))
    assert [given[f"{name}-port"] for name in ("http", "grpc", "metrics")] == ["8000", "9001", "8002"]
    assert given["http-address"] == "0.0.0.0"


def test_a_safe_range_that_is_full() -> None:
    with pytest.raises(SettingsError) as error:
        plan(machine(free_ports=()), SAGEMAKER_SAFE_PORT_RANGE="30000-30001")
    assert str(error.value) == (
        "SAGEMAKER_SAFE_PORT_RANGE='30000-30001': expected a free port for each of Triton's metrics, found 0 free"
    )


def test_a_range_of_two_is_enough() -> None:
    on = machine(free_ports=(30000, 30001))
    given = flags(plan(on, SAGEMAKER_SAFE_PORT_RANGE="30000-30001", SAGEMAKER_MULTI_MODEL="true"))
    assert {given["grpc-port"], given["metrics-port"]} == {"30000", "30001"}


def test_processes_that_do_not_fit_into_the_shared_memory() -> None:
    on = machine(free_shared_memory=5 * MIB, python_backends=("python", "onnxruntime"))
    assert planned(PIPELINE, on).loads
    with pytest.raises(SettingsError) as error:
        planned(PIPELINE, on, SHM_DEFAULT_BYTE_SIZE="16777216")
    assert str(error.value) == (
        "SAGEMAKER_TRITON_SHM_DEFAULT_BYTE_SIZE='16777216': 4 processes of models need 64.0 MiB of /dev/shm, which has "
        "5.0 MiB left: expected 1310720 at most, or fewer processes (pre: 3, encoder: 1), set by instance_group "
        "in config.pbtxt, or a larger /dev/shm (docker run --shm-size)"
    )


def test_more_processes_than_any_size_makes_room_for() -> None:
    with pytest.raises(SettingsError, match=r"3\.0 MiB of /dev/shm, which has 2\.0 MiB left: expected fewer processes"):
        planned(PIPELINE, machine(free_shared_memory=2 * MIB))


def test_only_what_is_loaded_at_the_start_needs_shared_memory() -> None:
    assert planned(PIPELINE, machine(free_shared_memory=2 * MIB), SAGEMAKER_MULTI_MODEL="true").loads == ()


def test_what_is_called_is_loaded_and_watched() -> None:
    made = planned(PIPELINE)
    names = ("resnet", "pre", "encoder")
    assert [flag for flag in child(made, "tritonserver").arguments if "load-model=" in flag] == [
        f"--load-model={name}" for name in names
    ]
    assert options(made).serves == SingleModelOptions("resnet", names)


def test_what_is_started_for_each_model_is_said() -> None:
    made = planned(PIPELINE, machine(python_backends=("python",)))
    assert made.loads == ("resnet (ensemble)", "pre (python, 3 processes)", "encoder (onnxruntime, 1 instance)")
    assert [line for line in made.describe().splitlines() if line.startswith("loads: ")] == [
        f"loads: {model}" for model in made.loads
    ]
    shared = planned(PIPELINE, machine(python_backends=("python", "onnxruntime")), SAGEMAKER_MULTI_MODEL="true")
    assert "shares: encoder (onnxruntime, 1 process)" in shared.describe().splitlines()
    assert shared.loads == ()


@pytest.mark.parametrize("argument", ["--http-port=9000", "--model-control-mode=poll", "--allow-metrics=false"])
def test_an_argument_that_serve_decides(argument: str) -> None:
    name = argument.partition("=")[0]
    with pytest.raises(SettingsError) as error:
        plan(ADDITIONAL_ARGS=f"--rate-limit=off {argument}")
    assert str(error.value) == (
        f"SAGEMAKER_TRITON_ADDITIONAL_ARGS='--rate-limit=off {argument}': {name} is not allowed, "
        "because serve sets it from variables of its own"
    )


def test_warnings() -> None:
    on_gpu = model("resnet", "onnxruntime", InstanceGroup(kind="KIND_GPU"))
    odd = Finding("no-version", "warning", "pre is odd")
    repository = replace(PIPELINE, loaded=(on_gpu,), warnings=(odd,))
    assert planned(repository, machine(haproxy=None), GRPC_PORT="9001").warnings == (
        "no GPU here: KIND_GPU of resnet runs on the CPU",
        "HAProxy is not installed: the app answers every request itself, which is slower",
        "SAGEMAKER_TRITON_GRPC_PORT has no effect: that port is not exposed (SAGEMAKER_TRITON_ALLOW_GRPC)",
        "pre is odd",
    )
    assert planned(repository, machine(gpus=1)).warnings == ("pre is odd",)


def test_a_directory_of_shared_models_that_has_none() -> None:
    nothing = Repository(Path("/typo"), None, ())
    made = planned(nothing, None, SHARED_MODELS_DIR="/typo", SAGEMAKER_MULTI_MODEL="true")
    assert made.warnings == ("SAGEMAKER_TRITON_SHARED_MODELS_DIR='/typo': there is no model to share",)
    assert planned(nothing, None, SAGEMAKER_MULTI_MODEL="true").warnings == ()


def test_the_description_shows_all_but_the_environment() -> None:
    made = plan(ADDITIONAL_ARGS="--a='b c'")
    shown = made.describe()
    for each in made.children:
        assert f"start {each.role}:" in shown
        assert all(f"    {argument}\n" in shown for argument in each.arguments)
    assert "hidden" not in shown


def test_the_apps_options_survive_their_journey() -> None:
    for made in (plan(LOAD_MODELS="encoder"), plan(SAGEMAKER_MULTI_MODEL="true")):
        given = options(made)
        assert AppOptions.from_json(given.to_json()) == given
        assert json.loads(given.to_json())["drain_seconds"] == 25


@pytest.mark.parametrize("processors", [1, 2, 4, 16])
def test_the_plan_is_the_same_every_time(processors: int) -> None:
    on = machine(processors=processors)
    assert plan(on) == plan(on)


@pytest.mark.parametrize(("many", "sched_batch"), [("false", True), ("true", False)])
def test_haproxy_waits_for_those_who_compute_but_not_for_loads(many: str, sched_batch: bool) -> None:
    made = plan(SAGEMAKER_MULTI_MODEL=many)
    assert {child.role: child.sched_batch for child in made.children} == {
        "tritonserver": False,
        "app": False,
        "haproxy": sched_batch,
    }


@pytest.mark.parametrize(
    ("many", "frontend", "haproxy"), [*product(("false", "true"), ("gateway", "native"), (True, False))]
)
def test_the_front_door_alone_is_drained(many: str, frontend: str, haproxy: bool) -> None:
    made = plan(machine(haproxy="haproxy" if haproxy else None), SAGEMAKER_MULTI_MODEL=many, FRONTEND=frontend)
    *others, front_door = made.children
    by_haproxy = haproxy and frontend == "gateway"
    assert front_door.drain == (AdminDrain(Path("/run/serve/haproxy.sock")) if by_haproxy else SigtermDrain())
    assert {child.drain for child in others} <= {NoDrain()}
    assert [child.role for child in made.children if child.unloads] == ["tritonserver"]


@pytest.mark.parametrize(
    ("many", "frontend", "policy"),
    [
        ("false", "gateway", EndsEndpoint()),
        ("false", "native", EndsEndpoint()),
        ("true", "gateway", Restarts(tells="app", own_status=True)),
        ("true", "native", EndsEndpoint()),
    ],
)
def test_tritonserver_is_restarted_where_the_app_can_load_the_tenants_again(
    many: str, frontend: str, policy: EndsEndpoint | Restarts
) -> None:
    made = plan(SAGEMAKER_MULTI_MODEL=many, FRONTEND=frontend)
    assert child(made, "tritonserver").when_it_ends == policy
    assert {child.when_it_ends for child in made.children[1:]} <= {Restarts()}
