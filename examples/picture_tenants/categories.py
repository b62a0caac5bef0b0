"""Converts labels to the tenant's category with the largest sum of probabilities, or `other`.

labels         BYTES [batch, k]    probabilities  FP32 [batch, k]
category       BYTES [batch, 1]    probability    FP32 [batch, 1]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Holds the categories: name → pattern of their words."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read `categories.txt`: one category per line, `name: word, word`."""
        lines = (Path(args["model_repository"]) / "categories.txt").read_text(encoding="utf-8").splitlines()
        pairs = (line.split(": ", 1) for line in lines)
        self._patterns = {name: re.compile(rf"\b({words.replace(', ', '|')})\b") for name, words in pairs}

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Respond to each request."""
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        labels, probabilities = (
            pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("labels", "probabilities")
        )
        best = [self._category(*row) for row in zip(labels, probabilities, strict=True)]
        categories = np.array([[name.encode()] for name, _ in best], dtype=object)
        values = np.array([[value] for _, value in best], dtype=np.float32)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor("category", categories), pb_utils.Tensor("probability", values)]
        )

    def _category(self, labels: Sequence[bytes], probabilities: Sequence[float]) -> tuple[str, float]:
        texts = [label.decode() for label in labels]
        sums = {
            name: float(sum(p for text, p in zip(texts, probabilities, strict=True) if pattern.search(text)))
            for name, pattern in self._patterns.items()
        }
        name = max(sums, key=sums.__getitem__)
        return (name, sums[name]) if sums[name] > 0 else ("other", 1 - sum(sums.values()))
