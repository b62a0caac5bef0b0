"""Serialise pipeline.py to `1/model.dali`, for the GPU if there is one, otherwise for the CPU.

DALI creates GPU operators while it serialises them, so the GPU version has to be built on a machine with a GPU. The
compiled backend serves the CPU version as well.
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
    """Return the number of the first GPU, or None without a GPU."""
    try:
        return 0 if backend.GetCUDADeviceCount() > 0 else None
    except RuntimeError:  # no driver
        return None


def main() -> None:
    """Write `1/model.dali` and print its size."""
    started = time.perf_counter()
    device_id = gpu()
    dali_trace.set_tracing(enabled=False)  # otherwise DALI stores paths of this machine in the file
    serialized = pipeline.define(device_id).serialize()
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(serialized)
    device = "the CPU" if device_id is None else f"GPU {device_id}"
    seconds = time.perf_counter() - started
    print(f"  image_decode: {len(serialized)} bytes for {device}, DALI {nvidia.dali.__version__}, in {seconds:.1f} s")


if __name__ == "__main__":
    main()
