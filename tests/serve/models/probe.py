"""Answers with its input and with the request's parameters as JSON, or does what these say.

Parameters: `working`: a file to create at once. `seconds`: how long to take. `until`: a file to wait for. `error`: fail
with this text, and with `code`, one of TritonError's. `raise`: raise a built-in exception of this name with the text.
"""

from __future__ import annotations

import builtins
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

FILE_SECONDS = 60.0


class TritonPythonModel:
    def execute(self, requests: Sequence[Any]) -> list[Any]:
        return [answer(request) for request in requests]


def answer(request: Any) -> Any:
    parameters = json.loads(request.parameters() or "{}")
    if "working" in parameters:
        Path(parameters["working"]).touch()
    time.sleep(float(parameters.get("seconds", 0)))
    await_file(parameters.get("until"))
    if "raise" in parameters:
        raise getattr(builtins, parameters["raise"])(parameters["error"])
    if "error" in parameters:
        code = getattr(pb_utils.TritonError, parameters.get("code", "INTERNAL"))
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(parameters["error"], code))
    text = pb_utils.get_input_tensor_by_name(request, "text").as_numpy()
    shown = np.array([json.dumps(parameters).encode()], dtype=object)
    return pb_utils.InferenceResponse([pb_utils.Tensor("text", text), pb_utils.Tensor("parameters", shown)])


def await_file(path: str | None) -> None:
    deadline = time.monotonic() + FILE_SECONDS
    while path is not None and not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody made {path} within {FILE_SECONDS:g} s")
        time.sleep(0.02)
