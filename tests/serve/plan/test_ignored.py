"""Warnings about variables that have no effect."""

from __future__ import annotations

import pytest

from serve.plan.ignored import ignored
from serve.settings import Settings

MANY = {"SAGEMAKER_MULTI_MODEL": "true"}
NATIVE = {"SAGEMAKER_TRITON_FRONTEND": "native"}


def warnings(environment: dict[str, str], gpus: int = 0) -> list[str]:
    return list(ignored(Settings.from_environment(environment), gpus))


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("DEFAULT_MODEL_NAME", "a", MANY),
        ("LOAD_MODELS", "a", MANY),
        ("LOAD_MODELS", "a", MANY | NATIVE),
        ("INFERENCE_TYPE", "generate", MANY | NATIVE),
        ("DISABLE_MODEL_NAMESPACING", "true", MANY),
        ("SHARED_MODELS_DIR", "/shared", {}),
        ("SHARED_MODELS_DIR", "/shared", MANY | NATIVE),
        ("HTTP_PORT", "9000", NATIVE),
        ("GRPC_PORT", "9001", {}),
        ("GRPC_PORT", "9001", NATIVE),
        ("METRICS_PORT", "9002", NATIVE),
        ("MODEL_LOAD_GPU_LIMIT", "0.8", {}),
    ],
)
def test_what_has_no_effect_is_said(name: str, value: str, where: dict[str, str]) -> None:
    (warning,) = warnings({f"SAGEMAKER_TRITON_{name}": value, **where})
    assert warning.startswith(f"SAGEMAKER_TRITON_{name} has no effect: ")


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("DEFAULT_MODEL_NAME", "a", {}),
        ("LOAD_MODELS", "a", NATIVE),
        ("INFERENCE_TYPE", "generate", MANY),
        ("INFERENCE_TYPE", "generate", NATIVE),
        ("DISABLE_MODEL_NAMESPACING", "true", {}),
        ("DISABLE_MODEL_NAMESPACING", "true", MANY | NATIVE),
        ("SHARED_MODELS_DIR", "/shared", MANY),
        ("HTTP_PORT", "9000", {}),
        ("HTTP_PORT", "9000", NATIVE | {"SAGEMAKER_TRITON_ALLOW_HTTP": "true"}),
        ("GRPC_PORT", "9001", MANY),
        ("GRPC_PORT", "9001", {"SAGEMAKER_TRITON_ALLOW_GRPC": "true"}),
        ("METRICS_PORT", "9002", {}),
        ("METRICS_PORT", "9002", NATIVE | {"SAGEMAKER_TRITON_ALLOW_METRICS": "true"}),
    ],
)
def test_what_has_an_effect_is_not(name: str, value: str, where: dict[str, str]) -> None:
    assert warnings({f"SAGEMAKER_TRITON_{name}": value, **where}) == []


def test_a_gpu_has_a_limit() -> None:
    assert warnings({"SAGEMAKER_TRITON_MODEL_LOAD_GPU_LIMIT": "0.8"}, gpus=1) == []
