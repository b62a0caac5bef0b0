"""How KServe v2 requests are recognized.

HAProxy matches patterns against the first bytes of a body. The app follows the same rules, but parses all of the JSON.
The patterns are written for HAProxy (PCRE or POSIX extended) and for Python alike.
"""

from __future__ import annotations

import re

from serve import sagemaker

__all__ = [
    "HEADER_LENGTH",
    "JSON_OBJECT",
    "JSON_START",
    "binary_header_size",
    "is_json_object",
]

# Triton's header for the number that SageMaker clients put into the content type.
HEADER_LENGTH = "Inference-Header-Content-Length"

# AWS's samples send KServe JSON as application/octet-stream, so the first key decides, not the content type.
JSON_START = r"^[[:space:]]*\{[[:space:]]*\"(inputs|id|parameters|outputs)\"[[:space:]]*:"
JSON_OBJECT = r"^[[:space:]]*\{"

_JSON_OBJECT = re.compile(JSON_OBJECT.replace("[[:space:]]", r"\s").encode())
_BINARY_JSON = re.compile(sagemaker.BINARY_JSON_PATTERN, re.IGNORECASE)


def is_json_object(start: bytes) -> bool:
    """Tell whether a body that starts with these bytes can only be a JSON object."""
    return _JSON_OBJECT.match(start) is not None


def binary_header_size(content_type: str) -> int | None:
    """Return N of `…binary+json;json-header-size=N` in bytes, or None for any other content type."""
    match = _BINARY_JSON.match(content_type)
    return int(match[1]) if match else None
