"""What tritonserver is started with."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from serve.app.options import SingleModelOptions
from serve.settings import SettingsError
from tests.serve.plan.planning import PIPELINE, child, flags, machine, options, plan, planned


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


@pytest.mark.parametrize(("processors", "threads"), [(1, "2"), (4, "4"), (96, "8")])
def test_triton_has_an_http_thread_for_each_processor(processors: int, threads: str) -> None:
    made = plan(replace(machine(), processors=processors))
    assert flags(made)["http-thread-count"] == threads
