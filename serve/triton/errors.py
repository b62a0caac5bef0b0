"""What Triton's error texts mean: the one place that distinguishes a caller's mistake, a lack of memory and our fault.

The patterns are written for HAProxy (PCRE) and for Python alike, without single quotes.
"""

from __future__ import annotations

import re

__all__ = ["DEAD_PROCESS", "OUT_OF_MEMORY", "UNREADABLE", "is_out_of_memory", "status_of"]

# Triton answers 500 to a body that is not JSON, or whose JSON does not follow the protocol. These patterns match the
# complete texts of its parser, so an error that a model reports about its input stays a failure of the model.
UNREADABLE = (
    r"^\{\"error\":\"(failed to parse the request JSON buffer: [^\"]+ at [0-9]+"
    r"|((Unable to (parse|set) [^:\"]+|failed to get request params\.|Expected JSON object for keyword: [^:\"]+): )?"
    r"attempt to (access (JSON non-[a-z-]+ as [a-z-]+|non-existing object member [^\"]+)|get members for non-object)"
    r")\"\}$"
)

# Memory, but no word that merely contains the letters (“BLOOM”). The texts are those of CUDA, cuDNN, cuBLAS, PyTorch,
# TensorFlow, ONNX Runtime, Python and Triton itself.
OUT_OF_MEMORY = (
    r"([Oo]ut [Oo]f [Mm]emory|OUT_OF_MEMORY|OutOfMemory|MemoryError|[Ff]ailed to allocate|ALLOC_FAILED"
    r"|CUDNN_STATUS_NOT_INITIALIZED|CUBLAS_STATUS_NOT_INITIALIZED|tensor is not initialized"
    r"|std::bad_alloc|[Cc]annot allocate memory|[Nn]o space left on device|(^|[^A-Za-z])OOM([^A-Za-z]|$))"
)

# The process of a Python model has ended, which by itself does not mean that memory was short.
DEAD_PROCESS = r"Stub process .* is not healthy"

_DEAD_PROCESS = re.compile(DEAD_PROCESS.encode())
_UNREADABLE = re.compile(UNREADABLE.encode())
_OUT_OF_MEMORY = re.compile(OUT_OF_MEMORY.encode())


def is_out_of_memory(message: str) -> bool:
    """Tell whether an error text means that memory, or another resource, was short."""
    return _OUT_OF_MEMORY.search(message.encode()) is not None


def status_of(status: int, body: bytes, *, generating: bool = False, killed_for_memory: bool = False) -> int:
    """Return the HTTP status that SageMaker should see for a response of Triton's.

    Only failures (5xx) are searched for a lack of memory: Triton's other errors repeat what the caller wrote, such as
    the name of an input. But its generate endpoints answer 400 to every failure.

    Args:
        status: Triton's own status.
        body: the start of its body, `{"error": "…"}`.
        generating: whether a generate endpoint responded.
        killed_for_memory: whether the kernel recently killed a process for lack of memory.
    """
    if status == 500 and _UNREADABLE.search(body):
        return 400
    failed = status >= 500 or (generating and status == 400)
    if failed and killed_for_memory and _DEAD_PROCESS.search(body):
        return 507
    if failed and _OUT_OF_MEMORY.search(body):
        return 507
    return status
