"""Serialise pipeline.py to `1/model.dali`: for the GPU where there is one, for the CPU otherwise.

DALI creates a pipeline's GPU operators while it serialises them, so that a file for the GPU can only come from a
machine that has one. The compiled backend serves the file for the CPU as well.
"""

from __future__ import annotations

import time
from pathlib import Path

import nvidia.dali
import pipeline
from nvidia.dali import backend
from nvidia.dali._utils import dali_trace

TARGET = Path(__file__).parent / "1" / "model.dali"


def gpu() -> int | None:
    """Return the first GPU's number, or None where there is none."""
    try:
        return 0 if backend.GetCUDADeviceCount() > 0 else None
    except RuntimeError:  # no driver
        return None


def main() -> None:
    """Write `1/model.dali` and say so."""
    started = time.perf_counter()
    device_id = gpu()
    dali_trace.set_tracing(enabled=False)  # DALI would store this machine's paths in the file, for its error messages
    serialized = pipeline.define(device_id).serialize()
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(serialized)
    device = "the CPU" if device_id is None else f"GPU {device_id}"
    seconds = time.perf_counter() - started
    print(f"  image_decode: {len(serialized)} bytes for {device}, DALI {nvidia.dali.__version__}, in {seconds:.1f} s")


if __name__ == "__main__":
    main()
