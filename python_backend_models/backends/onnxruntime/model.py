"""Stand-in for the compiled `onnxruntime` backend: the same `config.pbtxt` and `model.onnx`, on the CPU.

Runs on the CPU, whatever the instance group says. It honours these parameters of the compiled backend:
`intra_op_thread_count`, `inter_op_thread_count` and `execution_mode`. Parameters that begin with `session.` are entries
of onnxruntime's session configuration; the compiled backend ignores all but one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import stand_in
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

FILENAME = "model.onnx"
DEFAULT_MAX_BATCH_SIZE = 4  # Triton's default for a model that can batch
DATA_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(string)": "TYPE_STRING",
}
RUN_ERRORS = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
LOAD_ERRORS = (*RUN_ERRORS, ort_errors.InvalidGraph, ort_errors.InvalidProtobuf, ort_errors.NoSuchFile)


class TritonPythonModel:
    """One instance of a model."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Take inputs, outputs and batching from the ONNX file if `config.pbtxt` has none."""
        known = config.as_dict()
        model = stand_in.parse_model(known, FILENAME)
        if known["input"] and known["output"]:
            return config
        session = open_session(model)
        nodes = [*session.get_inputs(), *session.get_outputs()]
        batched = model.max_batch_size > 0 or (_can_batch(nodes) and not (known["input"] or known["output"]))
        if batched and not model.max_batch_size:
            config.set_max_batch_size(DEFAULT_MAX_BATCH_SIZE)
            if not {"dynamic_batching", "sequence_batching"} & known.keys():
                config.set_dynamic_batching()
        if not known["input"]:
            for node in session.get_inputs():
                config.add_input(_entry(node, batched=batched))
        if not known["output"]:
            for node in session.get_outputs():
                config.add_output(_entry(node, batched=batched))
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the file and check the configuration against it."""
        model = stand_in.load_model(args, FILENAME)
        self._session = open_session(model)
        check(model, self._session)
        self._outputs = [tensor.name for tensor in model.outputs]
        self._strings = {tensor.name for tensor in model.inputs if tensor.data_type == "TYPE_STRING"}
        self._batched = model.max_batch_size > 0

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Respond to requests, in one batch if the model supports it."""
        return stand_in.respond_stacked(requests, self._run, batched=self._batched)

    def _run(self, inputs: stand_in.Arrays) -> stand_in.Arrays:
        feed = {name: self._feed(name, array) for name, array in inputs.items()}
        try:
            values = self._session.run(self._outputs, feed)
        except (*RUN_ERRORS, ValueError) as error:  # ValueError: an input is missing
            invalid = isinstance(error, (ort_errors.InvalidArgument, ValueError))
            raise stand_in.RunError(f"onnxruntime: {error}", invalid_argument=invalid) from error
        return {name: _to_triton(value) for name, value in zip(self._outputs, values, strict=True)}

    def _feed(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        if name not in self._strings:
            return array
        try:
            return np.array([text.decode() for text in array.flat], dtype=object).reshape(array.shape)
        except UnicodeDecodeError as error:
            raise stand_in.RunError(f"input '{name}' is not UTF-8: {error}", invalid_argument=True) from error


def open_session(model: stand_in.Model) -> Any:
    """Load the ONNX file with this instance's share of the CPUs.

    Raises:
        stand_in.ModelLoadError: it is missing, or onnxruntime can't run it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = model.parameter("intra_op_thread_count", 0) or stand_in.threads(model)
    options.inter_op_num_threads = model.parameter("inter_op_thread_count", 0) or 1
    if model.parameter("execution_mode", 0):
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    # Threads that spin while they wait would take CPU time from other instances and from the server.
    entries = {"session.intra_op.allow_spinning": "0", **_session_entries(model)}
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    path = _onnx_file(model.file)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except LOAD_ERRORS as error:
        raise stand_in.ModelLoadError(f"model '{model.name}': onnxruntime cannot load {path}: {error}") from error


def _session_entries(model: stand_in.Model) -> dict[str, str]:
    return {key: value for key, value in model.parameters.items() if key.startswith("session.")}


def _onnx_file(path: Path) -> Path:
    """Return the ONNX file: a model with external weights may be a directory of that name."""
    return path / FILENAME if path.is_dir() else path


def check(model: stand_in.Model, session: Any) -> None:
    """Reject a configuration that the ONNX file contradicts.

    Raises:
        stand_in.ModelLoadError: names the tensor, the configuration's value and the file's.
    """
    required = {node.name: node for node in session.get_inputs()}
    overridable = {node.name: node for node in session.get_overridable_initializers()}
    _check_tensors(model, "input", model.inputs, required | overridable)
    _check_tensors(model, "output", model.outputs, {node.name: node for node in session.get_outputs()})
    if missing := sorted(required.keys() - {tensor.name for tensor in model.inputs}):
        raise stand_in.ModelLoadError(
            f"model '{model.name}': the configuration lacks the input(s) {', '.join(missing)} of {model.file}"
        )


def _check_tensors(
    model: stand_in.Model, kind: str, tensors: Sequence[stand_in.TensorSpec], nodes: dict[str, Any]
) -> None:
    for tensor in tensors:
        where = f"model '{model.name}': {kind} '{tensor.name}'"
        if tensor.name not in nodes:
            raise stand_in.ModelLoadError(f"{where} is not in {model.file}, which has {', '.join(sorted(nodes))}")
        node = nodes[tensor.name]
        if DATA_TYPES.get(node.type) != tensor.data_type:
            expected = DATA_TYPES.get(node.type, f"{node.type}, which Triton does not support")
            raise stand_in.ModelLoadError(
                f"{where} is {tensor.data_type} in the configuration, but the file has {expected}"
            )
        dims = [-1, *tensor.dims] if model.max_batch_size else list(tensor.dims)
        if not _fits(dims, _dims(node)):
            batch = " with the batch in front" if model.max_batch_size else ""
            raise stand_in.ModelLoadError(f"{where} has dims {dims}{batch}, but the file has {_dims(node)}")


def _fits(configured: list[int], actual: list[int]) -> bool:
    """Tell whether a configured shape fits the file's. The file may leave a dimension open (-1)."""
    return len(configured) == len(actual) and all(b in (-1, a) for a, b in zip(configured, actual, strict=True))


def _dims(node: Any) -> list[int]:
    """Return an ONNX shape, with -1 for dimensions without a fixed size."""
    return [size if isinstance(size, int) and size >= 0 else -1 for size in node.shape]


def _can_batch(nodes: Sequence[Any]) -> bool:
    return all(_dims(node)[:1] == [-1] for node in nodes)


def _entry(node: Any, *, batched: bool) -> dict[str, Any]:
    """Return a tensor of the file as an entry of `config.pbtxt`.

    Raises:
        stand_in.ModelLoadError: Triton has no data type for it.
    """
    if node.type not in DATA_TYPES:
        raise stand_in.ModelLoadError(f"'{node.name}' is of type {node.type}, which Triton does not support")
    dims = _dims(node)[1:] if batched else _dims(node)
    return {"name": node.name, "data_type": DATA_TYPES[node.type], "dims": dims or [1]}


def _to_triton(value: NDArray[Any]) -> NDArray[Any]:
    """Return an output as Triton wants it: strings as bytes."""
    if value.dtype != np.object_:
        return value
    return np.array([str(text).encode() for text in value.flat], dtype=object).reshape(value.shape)
