"""Images as callers send them → UINT8 vectors, which is how the DALI backend takes an encoded image.

    image    BYTES [batch, 1]   a JPEG or PNG file; or base64 of one, for KServe JSON can carry nothing but text
    encoded  UINT8 [batch, n]   the files, padded with zeros (which decoders ignore) to the longest of the request

A request that holds anything else gets an error of its own (INVALID_ARG, HTTP 400) and never reaches a batch.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")  # JPEG, PNG. Neither can begin a base64 text.


class ImageError(ValueError):
    """The caller's bytes are no image that is served here."""


class TritonPythonModel:
    """Stateless."""

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer each request by itself."""
        return [respond(request) for request in requests]


def respond(request: Any) -> Any:
    """Return the response to one request."""
    elements = pb_utils.get_input_tensor_by_name(request, "image").as_numpy()
    try:
        images = [decode(element) for element in elements.flat]
    except ImageError as error:
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
    return pb_utils.InferenceResponse([pb_utils.Tensor("encoded", pad(images))])


def decode(element: bytes) -> bytes:
    """Return the image file in one BYTES element.

    Raises:
        ImageError: it holds neither a JPEG nor a PNG, as they are or in base64.
    """
    if not element:
        raise ImageError("input 'image' is empty: send a JPEG or PNG file")
    if element.startswith(SIGNATURES):
        return element
    try:
        decoded = base64.b64decode(element, validate=True)
    except binascii.Error:
        decoded = b""
    if not decoded.startswith(SIGNATURES):
        raise ImageError(
            f"input 'image' is neither a JPEG nor a PNG, nor base64 of one: it starts with {element[:8]!r}"
        )
    return decoded


def pad(images: Sequence[bytes]) -> NDArray[np.uint8]:
    """Return the files as rows of one array."""
    rows = np.zeros((len(images), max(map(len, images))), np.uint8)
    for row, image in zip(rows, images, strict=True):
        row[: len(image)] = np.frombuffer(image, np.uint8)
    return rows
