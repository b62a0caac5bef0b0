"""Gives back its input.

input   FP32 [batch, n]
output  FP32 [batch, n]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Has no state."""

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer each request with its own tensor."""
        return [_echo(request) for request in requests]


def _echo(request: Any) -> Any:
    values = pb_utils.get_input_tensor_by_name(request, "input").as_numpy()
    return pb_utils.InferenceResponse([pb_utils.Tensor("output", values)])
