"""Small ONNX models and the repositories that hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = [helper.make_opsetid("", 13)]


def affine(shape: Sequence[int | str]) -> onnx.ModelProto:
    """y = 2 x + shift; `shift` is an input with the default 1."""
    return _model(
        [helper.make_node("Mul", ["x", "two"], ["twice"]), helper.make_node("Add", ["twice", "shift"], ["y"])],
        [("x", TensorProto.FLOAT, shape), ("shift", TensorProto.FLOAT, [1])],
        [("y", TensorProto.FLOAT, shape)],
        {"two": 2, "shift": 1},
    )


def strings(shape: Sequence[int | str]) -> onnx.ModelProto:
    """The strings of x, unchanged."""
    node = helper.make_node("Identity", ["x"], ["y"])
    return _model([node], [("x", TensorProto.STRING, shape)], [("y", TensorProto.STRING, shape)], {})


def flat() -> onnx.ModelProto:
    """The numbers of x [n, 3] in one column: a model that cannot batch, and whose shapes do not tell."""
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    model = _model([node], [("x", TensorProto.FLOAT, ["n", 3])], [("y", TensorProto.FLOAT, ["m", 1])], {})
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 1], np.int64), "shape"))
    return model


def gather() -> onnx.ModelProto:
    """y = [10, 11, 12][x]: fails for every other x."""
    node = helper.make_node("Gather", ["table", "x"], ["y"])
    model = _model([node], [("x", TensorProto.INT64, ["n", 1])], [("y", TensorProto.FLOAT, ["n", 1])], {})
    model.graph.initializer.append(numpy_helper.from_array(np.array([10, 11, 12], np.float32), "table"))
    return model


def _model(
    nodes: list[onnx.NodeProto],
    inputs: Sequence[tuple[str, int, Sequence[Any]]],
    outputs: Sequence[tuple[str, int, Sequence[Any]]],
    constants: Mapping[str, float],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*entry) for entry in inputs],
        [helper.make_tensor_value_info(*entry) for entry in outputs],
        [numpy_helper.from_array(np.array([value], np.float32), name) for name, value in constants.items()],
    )
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=OPSET, ir_version=8)
    return model


def add(repository: Path, name: str, model: onnx.ModelProto, config: str | None, filename: str = "model.onnx") -> Path:
    """Add a model to a repository; without a configuration if that is None. Returns the repository."""
    path = repository / name / "1" / filename
    path.parent.mkdir(parents=True)
    onnx.save(model, path)
    if config is not None:
        (repository / name / "config.pbtxt").write_text(config)
    return repository
