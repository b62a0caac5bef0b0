"""Converts images as callers send them to UINT8 vectors, the form in which the DALI backend accepts encoded images.

    image    BYTES [batch, 1]   a JPEG or PNG file, or base64 of one, because KServe JSON carries only text
    encoded  UINT8 [batch, n]   the files, padded with zeros (which decoders ignore) to the longest of the request

Any other input gets an error (INVALID_ARG, HTTP 400) before it can reach a batch. So does an image with more pixels
than the configuration's parameter `max_pixels` allows (default: 50 million): a file of a few kilobytes can decode to
more memory than the machine has.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"  # first bytes of the files; base64 text can't start with them
MAX_PIXELS = 50_000_000
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # of a JPEG: followed by its height and width
BARE_MARKERS = frozenset(range(0xD0, 0xD8)) | {0x01}  # not followed by a length


class ImageError(ValueError):
    """The caller's bytes are not an image that this model accepts."""


class TritonPythonModel:
    """Holds the limit of pixels."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the limit."""
        parameters = json.loads(args["model_config"])["parameters"]
        self._max_pixels = int(parameters.get("max_pixels", {"string_value": MAX_PIXELS})["string_value"])

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Respond to each request separately."""
        return [respond(request, self._max_pixels) for request in requests]


def respond(request: Any, max_pixels: int) -> Any:
    """Return the response to one request."""
    elements = pb_utils.get_input_tensor_by_name(request, "image").as_numpy()
    try:
        images = [checked(decode(element), max_pixels) for element in elements.flat]
    except ImageError as error:
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
    return pb_utils.InferenceResponse([pb_utils.Tensor("encoded", pad(images))])


def decode(element: bytes) -> bytes:
    """Return the image file in one BYTES element.

    Raises:
        ImageError: it is neither a JPEG nor a PNG, nor base64 of one.
    """
    if not element:
        raise ImageError("input 'image' is empty: send a JPEG or PNG file")
    if element.startswith((JPEG, PNG)):
        return element
    try:
        decoded = base64.b64decode(element, validate=True)
    except binascii.Error:
        decoded = b""
    if not decoded.startswith((JPEG, PNG)):
        raise ImageError(
            f"input 'image' is neither a JPEG nor a PNG, nor base64 of one: it starts with {element[:8]!r}"
        )
    return decoded


def checked(image: bytes, max_pixels: int) -> bytes:
    """Return the file if it is not too large.

    Raises:
        ImageError: it has too many pixels, or no header with its size.
    """
    width, height = png_size(image) if image.startswith(PNG) else jpeg_size(image)
    if width * height > max_pixels:
        raise ImageError(f"input 'image' has {width} x {height} pixels: at most {max_pixels} are allowed")
    return image


def png_size(image: bytes) -> tuple[int, int]:
    """Return width and height in pixels: the first fields of the first chunk.

    Raises:
        ImageError: the file ends before them.
    """
    if len(image) < 24:
        raise ImageError("input 'image' is an incomplete PNG: it ends within its header")
    width, height = struct.unpack_from(">II", image, 16)
    return width, height


def jpeg_size(image: bytes) -> tuple[int, int]:
    """Return width and height in pixels, from the segment that is the frame header.

    Raises:
        ImageError: there is no such segment.
    """
    position = 2
    while position + 9 <= len(image) and image[position] == 0xFF:
        marker = image[position + 1]
        if marker in FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", image, position + 5)
            return width, height
        if marker == 0xFF:  # padding
            position += 1
        elif marker in BARE_MARKERS:
            position += 2
        else:
            position += 2 + int.from_bytes(image[position + 2 : position + 4], "big")
    raise ImageError("input 'image' is a damaged or incomplete JPEG: it has no frame header")


def pad(images: Sequence[bytes]) -> NDArray[np.uint8]:
    """Return the files as rows of one array."""
    rows = np.zeros((len(images), max(map(len, images))), np.uint8)
    for row, image in zip(rows, images, strict=True):
        row[: len(image)] = np.frombuffer(image, np.uint8)
    return rows
