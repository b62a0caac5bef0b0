"""Answers with its input and with the request's parameters as JSON, or does what these say.

Parameters: `working`: a file to create at once. `seconds`: how long to take. `error`: fail with this text.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests: Sequence[Any]) -> list[Any]:
        return [answer(request) for request in requests]


def answer(request: Any) -> Any:
    parameters = json.loads(request.parameters() or "{}")
    if "working" in parameters:
        Path(parameters["working"]).touch()
    time.sleep(float(parameters.get("seconds", 0)))
    if "error" in parameters:
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(parameters["error"]))
    text = pb_utils.get_input_tensor_by_name(request, "text").as_numpy()
    shown = np.array([json.dumps(parameters).encode()], dtype=object)
    return pb_utils.InferenceResponse([pb_utils.Tensor("text", text), pb_utils.Tensor("parameters", shown)])
