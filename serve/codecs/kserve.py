"""How KServe v2 requests are recognised.

HAProxy knows them by patterns, at the first bytes of a body; the app follows the same rules, but reads all of the JSON.
The patterns are written for HAProxy (PCRE or POSIX extended) and for Python alike.
"""

from __future__ import annotations

import re

__all__ = [
    "BINARY_JSON",
    "BINARY_JSON_PATTERN",
    "BINARY_JSON_PREFIX",
    "EVENT_STREAM",
    "HEADER_LENGTH",
    "JSON_OBJECT",
    "JSON_START",
    "SAGEMAKER_HEADER",
    "binary_header_size",
    "is_json_object",
]

BINARY_JSON = "application/vnd.sagemaker-triton.binary+json"
BINARY_JSON_PREFIX = f"{BINARY_JSON};json-header-size="
EVENT_STREAM = "text/event-stream"

# Names of the headers that models get as request parameters begin with it.
SAGEMAKER_HEADER = "x-amzn-sagemaker-"

# Triton's own name for what SageMaker clients write into the content type.
HEADER_LENGTH = "Inference-Header-Content-Length"

# A content type that carries the size, in bytes, of the JSON that precedes the tensors. 0: raw binary request.
BINARY_JSON_PATTERN = r"^application/vnd\.sagemaker-triton\.binary\+json; *json-header-size=([0-9]{1,9})$"

# AWS's samples send KServe JSON as application/octet-stream, so the first key decides, not the content type.
JSON_START = r"^[[:space:]]*\{[[:space:]]*\"(inputs|id|parameters|outputs)\"[[:space:]]*:"
JSON_OBJECT = r"^[[:space:]]*\{"

_JSON_OBJECT = re.compile(JSON_OBJECT.replace("[[:space:]]", r"\s").encode())
_BINARY_JSON = re.compile(BINARY_JSON_PATTERN, re.IGNORECASE)


def is_json_object(start: bytes) -> bool:
    """Tell whether a body that starts with these bytes can only be a JSON object."""
    return _JSON_OBJECT.match(start) is not None


def binary_header_size(content_type: str) -> int | None:
    """Return N of `…binary+json;json-header-size=N` in bytes, or None for any other content type."""
    match = _BINARY_JSON.match(content_type)
    return int(match[1]) if match else None
