"""What Triton's error texts mean: the one place that tells a caller's fault, missing memory and our fault apart.

The patterns are written for HAProxy (PCRE) and for Python alike, without single quotes.
"""

from __future__ import annotations

import re

__all__ = ["DEAD_PROCESS", "OUT_OF_MEMORY", "UNREADABLE", "is_out_of_memory", "status_of"]

# Triton answers 500 to a body that is no JSON, or whose JSON is not of the shape that the protocol asks for. These are
# the whole texts of its own parser: what a model says of its input stays a failure of the model.
UNREADABLE = (
    r"^\{\"error\":\"(failed to parse the request JSON buffer: [^\"]+ at [0-9]+"
    r"|((Unable to (parse|set) [^:\"]+|failed to get request params\.|Expected JSON object for keyword: [^:\"]+): )?"
    r"attempt to (access (JSON non-[a-z-]+ as [a-z-]+|non-existing object member [^\"]+)|get members for non-object)"
    r")\"\}$"
)

# Memory, and nothing that merely contains the letters (“BLOOM”). The texts are those of CUDA, cuDNN, cuBLAS, PyTorch,
# TensorFlow, ONNX Runtime, Python and Triton itself.
OUT_OF_MEMORY = (
    r"([Oo]ut [Oo]f [Mm]emory|OUT_OF_MEMORY|OutOfMemory|MemoryError|[Ff]ailed to allocate|ALLOC_FAILED"
    r"|CUDNN_STATUS_NOT_INITIALIZED|CUBLAS_STATUS_NOT_INITIALIZED|tensor is not initialized"
    r"|std::bad_alloc|[Cc]annot allocate memory|[Nn]o space left on device|(^|[^A-Za-z])OOM([^A-Za-z]|$))"
)

# The process that a Python model ran in has ended. By itself this says nothing of memory.
DEAD_PROCESS = r"Stub process .* is not healthy"

_DEAD_PROCESS = re.compile(DEAD_PROCESS.encode())
_UNREADABLE = re.compile(UNREADABLE.encode())
_OUT_OF_MEMORY = re.compile(OUT_OF_MEMORY.encode())


def is_out_of_memory(message: str) -> bool:
    """Tell whether an error text means that memory, or another resource, was short."""
    return _OUT_OF_MEMORY.search(message.encode()) is not None


def status_of(status: int, body: bytes, *, generating: bool = False, killed_for_memory: bool = False) -> int:
    """Return the HTTP status that SageMaker should see for an answer of Triton's.

    Missing memory is looked for in failures (5xx) only: Triton's other errors repeat what the caller has written, such
    as the name of an input. But its generate endpoints answer 400 whatever has failed.

    Args:
        status: Triton's own status.
        body: the start of its body, `{"error": "…"}`.
        generating: whether it is the answer of a generate endpoint.
        killed_for_memory: whether the kernel has just killed a process for lack of memory.
    """
    if status == 500 and _UNREADABLE.search(body):
        return 400
    failed = status >= 500 or (generating and status == 400)
    if failed and killed_for_memory and _DEAD_PROCESS.search(body):
        return 507
    if failed and _OUT_OF_MEMORY.search(body):
        return 507
    return status
