"""Plans made from settings and a repository."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from serve.app.options import AppOptions, BehindHAProxy, OnPort, SingleModelOptions
from serve.machine.values import Machine
from serve.plan.endpoint import MultiModel, SingleModel
from serve.plan.make import make_plan
from serve.plan.values import AdminDrain, Child, EndsEndpoint, NoDrain, Plan, Restarts, SigtermDrain
from serve.repository import Finding, InstanceGroup, Model, ModelConfig, Repository
from serve.settings import Settings, SettingsError

MIB = 1024 * 1024


def model(name: str, backend: str, *groups: InstanceGroup) -> Model:
    return Model(name, Path("/opt/ml/model") / name, ModelConfig(backend=backend, instance_groups=groups))


REPOSITORY = Repository(
    Path("/opt/ml/model"), "resnet", ("encoder", "resnet"), (model("resnet", "onnxruntime", InstanceGroup(count=1)),)
)
PIPELINE = replace(
    REPOSITORY,
    models=("encoder", "pre", "resnet"),
    loaded=(
        model("resnet", "ensemble"),
        model("pre", "python", InstanceGroup(count=3)),
        model("encoder", "onnxruntime", InstanceGroup(count=1)),
    ),
)


def machine(
    *,
    haproxy: str | None = "/usr/sbin/haproxy",
    gpus: int = 0,
    free_ports: tuple[int, ...] = tuple(range(21000, 21008)),
    processors: int = 1,
    free_shared_memory: int | None = None,
    python_backends: tuple[str, ...] = ("python",),
    **environment: str,
) -> Machine:
    return Machine(
        gpus=gpus,
        processors=processors,
        haproxy=haproxy,
        python="/usr/bin/python3",
        free_ports=free_ports,
        work_dir=Path("/run/serve"),
        environment={"PATH": "/bin", "LD_LIBRARY_PATH": "/usr/local/lib", "SECRET": "hidden", **environment},
        free_shared_memory=free_shared_memory,
        python_backends=frozenset(python_backends),
    )


def plan(on: Machine | None = None, **environment: str) -> Plan:
    return planned(REPOSITORY, on, **environment)


def planned(repository: Repository, on: Machine | None = None, **environment: str) -> Plan:
    names = {f"SAGEMAKER_TRITON_{name}": value for name, value in environment.items() if not name.startswith("SAGE")}
    given = {name: value for name, value in environment.items() if name.startswith("SAGE")}
    settings = Settings.from_environment({**names, **given})
    endpoint = MultiModel(repository) if settings.multi_model else SingleModel(repository)
    return make_plan(settings, endpoint, on or machine())


def child(made: Plan, role: str) -> Child:
    """Return the only child of a role."""
    [found] = [child for child in made.children if child.role == role]
    return found


def flags(made: Plan) -> dict[str, str]:
    """Return tritonserver's arguments by name; of one that is repeated, the last."""
    return dict(
        argument.removeprefix("--").partition("=")[::2] for argument in child(made, "tritonserver").arguments[1:]
    )


def options(made: Plan) -> AppOptions:
    return AppOptions.from_json(child(made, "app").arguments[-1])


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


@pytest.mark.parametrize(("value", "namespacing"), [("true", "false"), ("false", "true"), ("", "true")])
def test_disable_model_namespacing_disables_it(value: str, namespacing: str) -> None:
    """The stock image does the opposite of the variable's name."""
    assert flags(plan(DISABLE_MODEL_NAMESPACING=value))["model-namespacing"] == namespacing


def test_values_are_never_split_into_words() -> None:
    with pytest.raises(SettingsError):
        plan(LOG_INFO="false --load-model=encoder")


def test_additional_arguments_are_split_as_a_shell_would_and_come_last() -> None:
    made = plan(ADDITIONAL_ARGS="--rate-limit=execution_count --trace-config='triton,file=/tmp/a b'")
    assert child(made, "tritonserver").arguments[-2:] == (
        "--rate-limit=execution_count",
        "--trace-config=triton,file=/tmp/a b",
    )


def test_models_to_load() -> None:
    made = planned(replace(PIPELINE, loaded=PIPELINE.loaded[::2]))
    loaded = [argument for argument in child(made, "tritonserver").arguments if argument.startswith("--load-model=")]
    assert loaded == ["--load-model=resnet", "--load-model=encoder"]
    assert options(made).serves == SingleModelOptions("resnet", ("resnet", "encoder"))


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
        ({"FRONTEND": "native"}, "sagemaker-thread-count", "8"),
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
        "--backend-config=python,shm-region-prefix-name=serve-",
        "--backend-config=tensorflow,version=2",
    } <= set(child(made, "tritonserver").arguments)


def test_the_gpu_limit_is_each_gpus() -> None:
    made = plan(machine(gpus=2), MODEL_LOAD_GPU_LIMIT="0.8")
    limits = [argument for argument in child(made, "tritonserver").arguments if "gpu-limit" in argument]
    assert limits == ["--model-load-gpu-limit=0:0.8", "--model-load-gpu-limit=1:0.8"]
    assert flags(plan(MODEL_LOAD_GPU_LIMIT="0.8")).get("model-load-gpu-limit") is None


def test_what_is_hidden_without_a_gpu_is_shown_with_one() -> None:
    message = "failed to allocate pinned system memory: no pinned memory pool"
    assert re.search(child(plan(machine(gpus=0)), "tritonserver").log_filter or "", message)
    assert not re.search(child(plan(machine(gpus=1)), "tritonserver").log_filter or "", message)


def test_the_environment_of_tritonserver() -> None:
    environment = child(plan(OVERRIDE_PING_MODE="live"), "tritonserver").environment
    assert environment is not None
    assert environment["LD_LIBRARY_PATH"] == "/opt/tritonserver/lib:/usr/local/lib"
    assert environment["SAGEMAKER_TRITON_PING_MODE"] == "live"
    assert environment["SAGEMAKER_TRITON_DEFAULT_MODEL_NAME"] == "resnet"
    assert environment["SECRET"] == "hidden"


@pytest.mark.parametrize(
    ("processors", "backends", "threads"),
    [(8, ("python",), "2"), (8, ("python", "onnxruntime"), "2"), (16, ("python",), "5"), (2, ("python",), "1")],
)
def test_processes_share_the_processors(processors: int, backends: tuple[str, ...], threads: str) -> None:
    on = machine(processors=processors, python_backends=backends)
    assert (child(planned(PIPELINE, on), "tritonserver").environment or {})["OMP_NUM_THREADS"] == threads


def test_nobody_knows_how_many_tenants_will_share_the_processors() -> None:
    made = plan(machine(processors=16), SAGEMAKER_MULTI_MODEL="true")
    assert (child(made, "tritonserver").environment or {})["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(("given", "threads"), [("7", "7"), ("", "2")])
def test_the_containers_own_number_of_threads_is_kept(given: str, threads: str) -> None:
    made = planned(PIPELINE, machine(processors=8, OMP_NUM_THREADS=given))
    assert (child(made, "tritonserver").environment or {})["OMP_NUM_THREADS"] == threads


def test_without_processes_libraries_take_what_they_like() -> None:
    compiled = replace(PIPELINE, loaded=PIPELINE.loaded[::2])
    assert "OMP_NUM_THREADS" not in (child(planned(compiled, machine(processors=8)), "tritonserver").environment or {})


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
    for child in made.children:
        assert f"start {child.role}:" in shown
        assert all(f"    {argument}\n" in shown for argument in child.arguments)
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


@pytest.mark.parametrize(("processors", "threads"), [(1, "2"), (4, "4"), (96, "8")])
def test_triton_has_an_http_thread_for_each_processor(processors: int, threads: str) -> None:
    made = plan(replace(machine(), processors=processors))
    assert flags(made)["http-thread-count"] == threads


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
