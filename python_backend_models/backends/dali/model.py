"""Stand-in for the compiled `dali` backend: the same `config.pbtxt` and `model.dali`, on the CPU.

Runs pipelines of CPU operators. The first dimension of an input is the batch. Requests of a batch may differ in shape;
the samples of one request have the same shape.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import stand_in
from numpy.typing import NDArray
from nvidia import dali

FILENAME = "model.dali"


class TritonPythonModel:
    """One instance of a model."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Take the batch size from the pipeline if `config.pbtxt` has none."""
        known = config.as_dict()
        model = stand_in.parse_model(known, FILENAME)
        check(model)
        if not model.max_batch_size:
            config.set_max_batch_size(load(model, model.file.read_bytes()).max_batch_size)
            if not {"dynamic_batching", "sequence_batching"} & known.keys():
                config.set_dynamic_batching()
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the pipeline, and check that the compiled backend could serve the configuration too."""
        self._model = stand_in.load_model(args, FILENAME)
        check(self._model)
        self._serialized = self._model.file.read_bytes()
        self._pipeline = load(self._model, self._serialized)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Respond to requests in one batch, or one by one if that fails."""
        return stand_in.respond(requests, self._run, ragged=True)

    def _run(self, inputs: list[stand_in.Arrays]) -> list[stand_in.Arrays]:
        try:
            for tensor in self._model.inputs:
                self._pipeline.feed_input(tensor.name, [sample for arrays in inputs for sample in arrays[tensor.name]])
            outputs = self._pipeline.run()
            batches = [[np.array(output.at(index)) for index in range(len(output))] for output in outputs]
        except RuntimeError as error:
            self._pipeline = load(self._model, self._serialized)  # a pipeline can't be used again after a failure
            refused = "decoders" in operator(error)  # then the file is at fault, otherwise the pipeline
            raise stand_in.RunError(f"DALI: {reason(error)}", invalid_argument=refused) from error
        return self._split(batches, [stand_in.batch_size(arrays) for arrays in inputs])

    def _split(self, outputs: list[list[NDArray[Any]]], sizes: list[int]) -> list[stand_in.Arrays]:
        responses: list[stand_in.Arrays] = [{} for _ in sizes]
        for tensor, samples in zip(self._model.outputs, outputs, strict=True):
            position = 0
            for arrays, size in zip(responses, sizes, strict=True):
                arrays[tensor.name] = self._stack(tensor.name, samples[position : position + size])
                position += size
        return responses

    def _stack(self, name: str, samples: list[NDArray[Any]]) -> NDArray[Any]:
        if len({sample.shape for sample in samples}) > 1:
            shapes = ", ".join(str(list(sample.shape)) for sample in samples)
            raise stand_in.RunError(
                f"output '{name}' has samples of shapes {shapes}: the samples of one response must have the same shape",
                invalid_argument=True,
            )
        return np.stack(samples)


def load(model: stand_in.Model, serialized: bytes) -> Any:
    """Return the pipeline, ready to run.

    Raises:
        stand_in.ModelLoadError: the file is not a pipeline, or needs a GPU.
    """
    batch = {"batch_size": model.max_batch_size} if model.max_batch_size else {}
    try:
        pipeline = dali.Pipeline.deserialize(
            serialized,
            **batch,
            num_threads=stand_in.threads(model),
            device_id=None,
            exec_pipelined=False,
            exec_async=False,
            prefetch_queue_depth=1,
        )
        pipeline.build()
    except RuntimeError as error:
        raise stand_in.ModelLoadError(
            f"model '{model.name}': DALI {dali.__version__} cannot load {model.file} on a CPU: {reason(error)}; "
            "serialize it with this version of DALI, device_id=None and operators of device 'cpu'"
        ) from error
    return pipeline


def check(model: stand_in.Model) -> None:
    """Reject what the compiled backend would not serve.

    Raises:
        stand_in.ModelLoadError: no input or output, an optional input, or an input of TYPE_STRING: the compiled backend
            would pass its bytes to the pipeline with Triton's four bytes of length before each string.
    """
    stand_in.refuse_optional_inputs(model)
    if not (model.inputs and model.outputs):
        raise stand_in.ModelLoadError(
            f"model '{model.name}': config.pbtxt must list the pipeline's inputs and outputs, by the pipeline's names"
        )
    for tensor in model.inputs:
        if tensor.data_type == "TYPE_STRING":
            raise stand_in.ModelLoadError(
                f"model '{model.name}': input '{tensor.name}' is TYPE_STRING, which DALI does not support; "
                "declare encoded images as TYPE_UINT8 with dims [ -1 ]"
            )


def operator(error: RuntimeError) -> str:
    """Return the name of the operator that failed, such as `fn.decoders.image`; empty if DALI does not name it."""
    found = re.search(r"operator `(?:nvidia\.dali\.)?([^`]+)`", str(error))
    return found[1] if found else ""


def reason(error: RuntimeError) -> str:
    """Return DALI's message: the operator and its error, without the pipeline's source."""
    message = str(error).rpartition("encountered:")[2].replace("Current pipeline object is no longer valid.", "")
    words = " ".join(message.split())
    if not (name := operator(error)):
        return words
    damaged = " (an image is damaged, incomplete or of a format that DALI does not decode)"
    return f"{name}: {words}{damaged if 'decoders' in name else ''}"
