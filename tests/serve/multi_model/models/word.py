"""Answers to `text` with `said`: the text and a word behind it. Parameters of its configuration say what else it does.

word            the word.
raises          `Exception: text`, raised by `initialize`; `raises_on_execute`: by `execute`.
load_gate       a directory in which `initialize` makes `started-PID` and waits for `open`; `gate`: `execute` does.
calls           a model of the same archive that answers in this one's place (business logic scripting).
fill            MiB to take in `initialize`; `fill_on_execute`: in `execute`.
"""

from __future__ import annotations

import builtins
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

GATE_SECONDS = 60.0
MIB = 1024 * 1024


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        parameters = json.loads(args["model_config"])["parameters"]
        self._settings = {name: value["string_value"] for name, value in parameters.items()}
        self._word = self._settings.get("word", "")
        self._called = self._settings["sagemaker.tenant_prefix"] + self._settings.get("calls", "")
        self._memory = filled(self._settings.get("fill"))
        wait_at(self._settings.get("load_gate"))
        fail(self._settings.get("raises"))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        wait_at(self._settings.get("gate"))
        fail(self._settings.get("raises_on_execute"))
        filled(self._settings.get("fill_on_execute"))
        tensor = pb_utils.get_input_tensor_by_name(request, "text")
        text = tensor.as_numpy()[0].decode()
        if "calls" in self._settings:
            called = pb_utils.InferenceRequest(
                model_name=self._called, requested_output_names=["said"], inputs=[tensor]
            ).exec()
            if called.has_error():
                return called
            text = pb_utils.get_output_tensor_by_name(called, "said").as_numpy()[0].decode()
        answer = np.array([f"{text} {self._word}".strip().encode()], dtype=object)
        return pb_utils.InferenceResponse([pb_utils.Tensor("said", answer)])


def wait_at(directory: str | None) -> None:
    if directory is None:
        return
    (Path(directory) / f"started-{os.getpid()}").touch()
    deadline = time.monotonic() + GATE_SECONDS
    while not (Path(directory) / "open").exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{directory} was not opened within {GATE_SECONDS:g} s")
        time.sleep(0.01)


def fail(error: str | None) -> None:
    if error is not None:
        name, _, message = error.partition(": ")
        raise getattr(builtins, name)(message)


def filled(mib: str | None) -> list[bytes]:
    return [b"\1" * MIB for _ in range(int(mib or 0))]
