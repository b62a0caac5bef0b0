"""Finishes loading once its directory has an entry named `go`."""

from __future__ import annotations

import time
from pathlib import Path

SECONDS = 60.0


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        deadline = time.monotonic() + SECONDS
        while not (Path(args["model_repository"]) / "go").exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"nobody let this model load within {SECONDS:g} s")
            time.sleep(0.02)
