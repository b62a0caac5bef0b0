"""Shared by the stand-in backends: the model's configuration, CPU threads, and batching of requests.

A stand-in is a Python-based backend: Triton runs `backends/NAME/model.py` if there is no `libtriton_NAME.so`. This
module is installed in `backends/python`, which Triton puts on the module search path of all of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]  # the tensors of one request by name
Run = Callable[[list[Arrays]], list[Arrays]]  # requests of one batch → their outputs, in the same order

CGROUP = Path("/sys/fs/cgroup")


class ModelLoadError(RuntimeError):
    """The model can't be served: its file and its configuration don't fit, or its runtime is missing."""


class RunError(RuntimeError):
    """The model failed for these inputs."""

    def __init__(self, message: str, *, invalid_argument: bool) -> None:
        """Keep whether the caller (HTTP 400) or the model (HTTP 500) is at fault."""
        super().__init__(message)
        self.code = pb_utils.TritonError.INVALID_ARG if invalid_argument else pb_utils.TritonError.INTERNAL


class BatchingError(RunError):
    """The model has a max_batch_size, but does not treat the first dimension as a batch."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of `config.pbtxt`."""

    name: str
    data_type: str  # TYPE_FP32 …
    dims: tuple[int, ...]  # as the model itself sees them: after `reshape`, without the batch
    optional: bool = False


@dataclass(frozen=True)
class Model:
    """What a backend needs to know about its model."""

    name: str
    directory: Path  # of the version that is loaded
    filename: str
    max_batch_size: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    instances: int
    parameters: Mapping[str, str]

    @property
    def file(self) -> Path:
        """The model's file.

        Raises:
            ModelLoadError: it does not exist.
        """
        path = self.directory / self.filename
        if not path.exists():
            found = ", ".join(sorted(entry.name for entry in self.directory.iterdir())) or "nothing"
            raise ModelLoadError(
                f"model '{self.name}': {path} does not exist (the directory holds {found}); "
                "name the file in 'default_model_filename' or rename it"
            )
        return path

    def parameter(self, key: str, default: int) -> int:
        """Return a numeric entry of the configuration's `parameters`.

        Raises:
            ModelLoadError: its value is not a whole number, 0 or more.
        """
        value = self.parameters.get(key)
        if value is None:
            return default
        if not value.strip().isdecimal():
            raise ModelLoadError(f"model '{self.name}': parameter '{key}' is '{value}', not a whole number")
        return int(value)


def parse_model(config: Mapping[str, Any], default_filename: str) -> Model:
    """Return the model that this process serves, from its configuration as Triton completed it."""
    groups = config["instance_group"]
    return Model(
        name=config["name"],
        directory=Path(pb_utils.get_model_dir()),
        filename=config["default_model_filename"] or default_filename,
        max_batch_size=config["max_batch_size"],
        inputs=tuple(map(_tensor_spec, config["input"])),
        outputs=tuple(map(_tensor_spec, config["output"])),
        instances=sum(group["count"] * max(len(group.get("gpus", ())), 1) for group in groups) or 1,
        parameters={key: value["string_value"] for key, value in config["parameters"].items()},
    )


def _tensor_spec(entry: Mapping[str, Any]) -> TensorSpec:
    dims = entry["reshape"]["shape"] if "reshape" in entry else entry["dims"]
    return TensorSpec(entry["name"], entry["data_type"], tuple(map(int, dims)), bool(entry.get("optional", False)))


def load_model(args: Mapping[str, str], default_filename: str) -> Model:
    """Return the model that `TritonPythonModel.initialize` is called for."""
    return parse_model(json.loads(args["model_config"]), default_filename)


def refuse_optional_inputs(model: Model) -> None:
    """Reject optional inputs, for a runtime that doesn't support them.

    Raises:
        ModelLoadError: names the input.
    """
    for tensor in model.inputs:
        if tensor.optional:
            raise ModelLoadError(
                f"model '{model.name}': input '{tensor.name}' is optional, but this backend requires all inputs"
            )


def cpus(cgroup: Path = CGROUP) -> int:
    """Return how many CPUs this process may use: its affinity, or the container's quota if that is less."""
    available = len(os.sched_getaffinity(0))
    for files in ("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"):  # of version 2, of version 1
        if all((cgroup / file).is_file() for file in files):
            quota, period = " ".join((cgroup / file).read_text() for file in files).split()
            return available if quota in ("max", "-1") else max(1, min(available, int(quota) // int(period)))
    return available


def threads(model: Model) -> int:
    """Return this instance's share of the CPUs, so that the instances together don't use more than there are."""
    return max(cpus() // model.instances, 1)


def respond_stacked(requests: Sequence[Any], run: Callable[[Arrays], Arrays], *, batched: bool) -> list[Any]:
    """Return one response for each request. If `batched`, `run` gets several, stacked on the first axis, as one."""
    if batched:
        return respond(requests, lambda inputs: split(run(concatenate(inputs)), inputs))
    return [response for request in requests for response in respond([request], lambda inputs: [run(inputs[0])])]


def respond(requests: Sequence[Any], run: Run, *, ragged: bool = False) -> list[Any]:
    """Return one response for each request. Requests that fit together form a batch.

    If a batch fails, its requests run one by one, so that one caller's bad input doesn't fail the others.

    Args:
        requests: Triton's requests.
        run: runs one batch.
        ragged: requests form a batch whatever the shapes of their tensors.
    """
    inputs = [{tensor.name(): tensor.as_numpy() for tensor in request.inputs()} for request in requests]
    responses: list[Any] = [None] * len(requests)
    for group in _groups(inputs, ragged=ragged):
        for index, response in zip(group, _respond([inputs[index] for index in group], run), strict=True):
            responses[index] = response
    return responses


def _groups(inputs: list[Arrays], *, ragged: bool) -> list[list[int]]:
    """Return the positions of requests with the same inputs (optional ones may be absent) and sample shapes."""
    groups: dict[object, list[int]] = {}
    for index, arrays in enumerate(inputs):
        key = frozenset((name, () if ragged else array.shape[1:]) for name, array in arrays.items())
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def _respond(inputs: list[Arrays], run: Run) -> Iterator[Any]:
    try:
        outputs = run(inputs)
    except RunError as error:
        if len(inputs) == 1 or isinstance(error, BatchingError):
            yield from (pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), error.code)) for _ in inputs)
        else:
            for each in inputs:
                yield from _respond([each], run)
    else:
        for arrays in outputs:
            yield pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in arrays.items()])


def concatenate(inputs: list[Arrays]) -> Arrays:
    """Return requests with the same names and sample shapes as one batch."""
    if len(inputs) == 1:
        return inputs[0]
    return {name: np.concatenate([arrays[name] for arrays in inputs]) for name in inputs[0]}


def split(outputs: Arrays, inputs: list[Arrays]) -> list[Arrays]:
    """Divide the outputs of a batch among its requests.

    Raises:
        BatchingError: an output does not have the batch as its first dimension.
    """
    ends = list(accumulate((batch_size(arrays) for arrays in inputs), initial=0))
    for name, array in outputs.items():
        if array.ndim == 0 or len(array) != ends[-1]:
            raise BatchingError(
                f"output '{name}' has shape {list(array.shape)} for a batch of {ends[-1]}: "
                "the model does not support batching, set max_batch_size to 0",
                invalid_argument=False,
            )
    return [{name: array[start:end] for name, array in outputs.items()} for start, end in pairwise(ends)]


def batch_size(arrays: Arrays) -> int:
    """Return the number of samples in a request."""
    return len(next(iter(arrays.values())))
