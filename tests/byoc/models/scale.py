"""Multiplies by the file `factor` beside it; refuses numbers that are not finite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        self.factor = float((Path(__file__).parent / "factor").read_text())

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        return [self.answer(pb_utils.get_input_tensor_by_name(request, "x").as_numpy()) for request in requests]

    def answer(self, values: Any) -> Any:
        if not np.isfinite(values).all():
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("x has a value that is not finite"))
        return pb_utils.InferenceResponse([pb_utils.Tensor("y", (self.factor * values).astype(np.float32))])
