"""Every variable: accepted values, rejected values, and messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serve.settings import PortRange, Settings, SettingsError, variables

# variable → accepted texts with their values, refused texts
CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "bind_to_port": (
        {"9000": 9000, " 1 ": 1, "65535": 65535},
        ("0", "65536", "-1", "http", "80 90", "8080.0", "8_080", "+8080"),
    ),
    "safe_port_range": (
        {"21000-21999": PortRange(21000, 21999), "5-5": PortRange(5, 5)},
        ("21000", "21999-21000", "0-5", "1-70000", "a-b", "21000-21999-22000", "21000 - 21999"),
    ),
    "multi_model": ({"true": True, "True": True, "1": True, "false": False, "0": False}, ("yes", "tru", "2")),
    "base_dir": ({"/opt/ml": Path("/opt/ml"), "/a b": Path("/a b")}, ()),
    "install_dir": ({"/opt/tritonserver": Path("/opt/tritonserver")}, ()),
    "shared_models_dir": ({"/opt/model_repository": Path("/opt/model_repository")}, ()),
    "frontend": ({"gateway": "gateway", "native": "native"}, ("Native", "haproxy")),
    "default_model_name": ({"a": "a", "a b": "a b", "a --load-model=b": "a --load-model=b"}, ("a/b", "..", ".")),
    "load_models": ({"a": ("a",), "a, b,c": ("a", "b", "c")}, ("a/b", "a,../b", "a,..")),
    "inference_type": (
        {"infer": "infer", "generate": "generate", "generate_stream": "generate_stream"},
        ("stream", "INFER"),
    ),
    "override_ping_mode": ({"ready": "ready", "live": "live"}, ("alive",)),
    "allow_http": ({"true": True, "false": False}, ("on",)),
    "http_port": ({"8000": 8000}, ("none",)),
    "allow_grpc": ({"true": True, "false": False}, ("on",)),
    "grpc_port": ({"8001": 8001}, ("8001a",)),
    "allow_metrics": ({"true": True, "false": False}, ("on",)),
    "metrics_port": ({"8002": 8002}, ("80020202",)),
    "thread_count": ({"1": 1, "64": 64}, ("0", "-8", "1.5", "many")),
    "buffer_manager_thread_count": ({"0": 0, "4": 4}, ("-1",)),
    "log_verbose": ({"true": 1, "false": 0, "0": 0, "3": 3}, ("-1", "loud")),
    "log_info": ({"true": True}, ("false --load-model=encoder",)),
    "log_warning": ({"false": False}, ("warn",)),
    "log_error": ({"false": False}, ("err",)),
    "shm_default_byte_size": ({"16777216": 16777216}, ("1024", "16MB", "-1")),
    "shm_growth_byte_size": ({"1048576": 1048576}, ("0",)),
    "tensorflow_version": ({"1": "1", "2": "2"}, ("3", "2.1")),
    "model_load_gpu_limit": ({"0.9": 0.9, "1": 1.0}, ("0", "1.1", "90%", "nan", "-0.5", "inf")),
    "disable_model_namespacing": ({"true": True}, ("no",)),
    "additional_args": ({"--a=1 '--b=x y'": ("--a=1", "--b=x y")}, ("--a='unclosed",)),
}


def read(field: str, text: str) -> Any:
    return getattr(Settings.from_environment({variables()[field].name: text}), field)


@pytest.mark.parametrize("field", variables())
def test_every_variable_has_cases(field: str) -> None:
    assert field in CASES, f"add accepted and refused values of {field}"


@pytest.mark.parametrize(
    ("field", "text", "value"), [(field, text, value) for field in CASES for text, value in CASES[field][0].items()]
)
def test_accepted(field: str, text: str, value: object) -> None:
    assert read(field, text) == value


@pytest.mark.parametrize(("field", "text"), [(field, text) for field in CASES for text in CASES[field][1]])
def test_refused_in_one_line_with_variable_value_and_what_is_accepted(field: str, text: str) -> None:
    variable = variables()[field]
    with pytest.raises(SettingsError) as error:
        read(field, text)
    assert str(error.value) == f"{variable.name}={text!r}: expected {variable.kind.accepted}"


@pytest.mark.parametrize("field", CASES)
@pytest.mark.parametrize("text", ["", "  "])
def test_empty_counts_as_not_set(field: str, text: str) -> None:
    assert read(field, text) == getattr(Settings(), field)


@pytest.mark.parametrize("text", ["a,,b", ","])
def test_a_forgotten_name_among_models_to_load(text: str) -> None:
    with pytest.raises(SettingsError, match="SAGEMAKER_TRITON_LOAD_MODELS"):
        read("load_models", text)


def test_other_variables_are_nobodys_business() -> None:
    assert Settings.from_environment({"SAGEMAKER_TRITON_TYPO": "x", "HOME": "/root"}) == Settings()


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        (
            {"SAGEMAKER_TRITON_HTTP_PORT": "8080"},
            "SAGEMAKER_TRITON_HTTP_PORT='8080': SAGEMAKER_BIND_TO_PORT has the same port, expected another one",
        ),
        (
            {"SAGEMAKER_TRITON_HTTP_PORT": "9", "SAGEMAKER_TRITON_GRPC_PORT": "9"},
            "SAGEMAKER_TRITON_GRPC_PORT='9': SAGEMAKER_TRITON_HTTP_PORT has the same port, expected another one",
        ),
        (
            {"SAGEMAKER_TRITON_METRICS_PORT": "8002", "SAGEMAKER_SAFE_PORT_RANGE": "21000-21999"},
            "SAGEMAKER_TRITON_METRICS_PORT='8002': expected a port of SAGEMAKER_SAFE_PORT_RANGE (21000-21999)",
        ),
    ],
)
def test_ports_that_contradict_each_other(environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_environment(environment)
    assert str(error.value) == complaint


def test_the_sagemaker_port_need_not_be_in_the_safe_range() -> None:
    settings = Settings.from_environment({"SAGEMAKER_SAFE_PORT_RANGE": "21000-21999"})
    assert settings.bind_to_port == 8080


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({}, "ready"),
        ({"SAGEMAKER_MULTI_MODEL": "true"}, "live"),
        ({"SAGEMAKER_MULTI_MODEL": "true", "SAGEMAKER_TRITON_OVERRIDE_PING_MODE": "ready"}, "ready"),
        ({"SAGEMAKER_TRITON_OVERRIDE_PING_MODE": "live"}, "live"),
    ],
)
def test_ping_mode(environment: dict[str, str], mode: str) -> None:
    assert Settings.from_environment(environment).ping_mode == mode


@pytest.mark.parametrize("variable", variables().values(), ids=lambda variable: variable.name)
def test_every_row_can_be_documented(variable: Any) -> None:
    assert variable.name.startswith("SAGEMAKER_")
    assert variable.meaning.endswith(".")
    assert variable.kind.accepted
