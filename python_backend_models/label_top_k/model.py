"""Converts logits to the k most probable labels.

    logits         FP32 [batch, classes]
    labels         BYTES [batch, k]   UTF-8, most probable first
    probabilities  FP32 [batch, k]    softmax over all classes

`k` is a request parameter (default 5). A caller that can't set one, because the body is a raw image, sends `k=3` in the
header `X-Amzn-SageMaker-Custom-Attributes`; the parameter takes precedence. The labels are the lines of `labels.txt` in
the model's directory, or of the file that the configuration's parameter `labels` names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

DEFAULT_K = 5
CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


class TopKError(ValueError):
    """The caller's `k` is not a number of labels that the model can return."""


class LabelsError(RuntimeError):
    """The labels are missing, or their number differs from the number of classes."""


class TritonPythonModel:
    """Holds the labels."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the labels."""
        self._labels = read_labels(Path(args["model_repository"]), json.loads(args["model_config"]))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Respond to all requests that have a valid k with one sort."""
        ks = [_result(requested_k, request.parameters(), len(self._labels)) for request in requests]
        valid = [(request, k) for request, k in zip(requests, ks, strict=True) if isinstance(k, int)]
        responses = iter(self._top_k(valid))
        return [next(responses) if isinstance(k, int) else _failure(k) for k in ks]

    def _top_k(self, requests: Sequence[tuple[Any, int]]) -> list[Any]:
        if not requests:
            return []
        batches = [pb_utils.get_input_tensor_by_name(request, "logits").as_numpy() for request, _ in requests]
        order, probabilities = top_k(np.concatenate(batches), max(k for _, k in requests))
        ends = np.cumsum([len(batch) for batch in batches])[:-1]
        parts = zip(requests, np.split(order, ends), np.split(probabilities, ends), strict=True)
        return [self._response(indices[:, :k], values[:, :k]) for (_, k), indices, values in parts]

    def _response(self, indices: NDArray[np.intp], probabilities: NDArray[np.float32]) -> Any:
        labels = pb_utils.Tensor("labels", self._labels[indices])
        return pb_utils.InferenceResponse(
            [labels, pb_utils.Tensor("probabilities", np.ascontiguousarray(probabilities))]
        )


def read_labels(directory: Path, config: Mapping[str, Any]) -> NDArray[np.object_]:
    """Return one label for each class, in the order of the logits.

    Raises:
        LabelsError: the file is missing, or its number of lines differs from the number of classes.
    """
    parameter = config["parameters"].get("labels", {"string_value": "labels.txt"})
    path = directory / parameter["string_value"]
    if not path.is_file():
        raise LabelsError(
            f"{path} does not exist: write one label per line there, or name the file in the parameter 'labels'"
        )
    labels = path.read_text(encoding="utf-8").splitlines()
    classes = int(config["input"][0]["dims"][-1])
    if classes not in (-1, len(labels)):
        raise LabelsError(f"{path} has {len(labels)} labels, but input 'logits' has {classes} classes")
    return np.array([label.encode() for label in labels], dtype=object)


def requested_k(parameters: str, classes: int) -> int:
    """Return how many labels a request asks for.

    Args:
        parameters: the request's parameters, a JSON object. The forwarded headers are among them.
        classes: the number of classes.

    Raises:
        TopKError: not a whole number from 1 to the number of classes.
    """
    values = {key.lower(): value for key, value in json.loads(parameters or "{}").items()}
    k = values.get("k", attributes(values.get(CUSTOM_ATTRIBUTES, "")).get("k", DEFAULT_K))
    number = int(k) if isinstance(k, str) and k.isdecimal() else k
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= classes:
        raise TopKError(f"parameter 'k' is {k!r}: it must be a whole number from 1 to {classes}")
    return number


def attributes(header: str) -> dict[str, str]:
    """Return the `key=value` entries of a custom-attributes header, which are separated by commas; skip any other."""
    pairs = (entry.partition("=") for entry in header.split(","))
    return {key.strip().lower(): value.strip() for key, separator, value in pairs if separator}


def top_k(logits: NDArray[np.float32], k: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return positions and probabilities of the k largest logits of each row, largest first: two arrays [batch, k]."""
    candidates = np.argpartition(-logits, k - 1, axis=1)[:, :k]
    within = np.argsort(-np.take_along_axis(logits, candidates, axis=1), axis=1, kind="stable")
    order = np.take_along_axis(candidates, within, axis=1)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    return order, np.take_along_axis(probabilities, order, axis=1)


def _result(function: Any, *arguments: Any) -> int | TopKError:
    try:
        return int(function(*arguments))
    except TopKError as error:
        return error


def _failure(error: TopKError) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
