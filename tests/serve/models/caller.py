"""Calls the model `probe` (business logic scripting) and returns its response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests: Sequence[Any]) -> list[Any]:
        return [answer(request) for request in requests]


def answer(request: Any) -> Any:
    text = pb_utils.get_input_tensor_by_name(request, "text")
    inference = pb_utils.InferenceRequest(model_name="probe", requested_output_names=["text"], inputs=[text])
    response = inference.exec()
    if response.has_error():
        return pb_utils.InferenceResponse(error=response.error())
    return pb_utils.InferenceResponse([pb_utils.get_output_tensor_by_name(response, "text")])
