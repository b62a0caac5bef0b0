"""Models that answer, and their inputs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

__all__ = ["npy", "write_real_model"]

MODELS = Path(__file__).parent / "models"


def write_real_model(directory: Path, kind: str, factor: float = 2) -> Path:
    """Write one of the models beside this file as Triton wants it; return its directory."""
    (directory / "1").mkdir(parents=True)
    shutil.copy(MODELS / f"{kind}.pbtxt", directory / "config.pbtxt")
    shutil.copy(MODELS / f"{kind}.py", directory / "1" / "model.py")
    (directory / "1" / "factor").write_text(str(factor))
    return directory


def npy(file: Path, *values: float) -> Path:
    """Write an array of one row in NumPy's format; return the file."""
    np.save(file, np.array([values], dtype=np.float32))
    return file
