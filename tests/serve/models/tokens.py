"""Streams the words of `text`. Word n + 1 is sent once the directory `confirmations` has an entry named n.

So a proxy that buffers a word would never get the next one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

CONFIRMATION_SECONDS = 10.0


class TritonPythonModel:
    def execute(self, requests: Sequence[Any]) -> None:
        for request in requests:
            stream(request)


def stream(request: Any) -> None:
    text, directory = (
        pb_utils.get_input_tensor_by_name(request, name).as_numpy()[0].decode() for name in ("text", "confirmations")
    )
    sender = request.get_response_sender()
    for number, word in enumerate(text.split()):
        sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("token", np.array([word.encode()], dtype=object))]))
        if not confirmed(Path(directory) / str(number)):
            error = pb_utils.TritonError(f"word {number} ({word!r}) was not confirmed in {CONFIRMATION_SECONDS:g} s")
            sender.send(pb_utils.InferenceResponse(error=error))
            break
    sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def confirmed(entry: Path) -> bool:
    deadline = time.monotonic() + CONFIRMATION_SECONDS
    while not entry.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
