"""Images as callers send them → what DALI takes."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests.models.client import image, infer
from tests.models.conftest import PHOTOGRAPHS

MODEL = "image_bytes"


def png_header(width: int, height: int) -> bytes:
    """A PNG whose header declares so many pixels, without data."""
    fields = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + fields + struct.pack(">I", zlib.crc32(fields))


def jpeg_header(width: int, height: int) -> bytes:
    """A JPEG with a comment and a frame header, and nothing after it."""
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 5) + b"hello"
    return b"\xff\xd8" + comment + b"\xff\xff\xc2" + struct.pack(">HBHHB", 8, 8, height, width, 0)


def test_the_bytes_of_the_file(client: InferenceServerClient, photograph: bytes) -> None:
    encoded = infer(client, MODEL, image(photograph))["encoded"]
    assert encoded.dtype == np.uint8
    assert encoded.tobytes() == photograph


def test_base64_of_the_file(client: InferenceServerClient, photograph: bytes) -> None:
    assert infer(client, MODEL, image(base64.b64encode(photograph)))["encoded"].tobytes() == photograph


def test_shorter_files_of_a_request_are_padded(client: InferenceServerClient, photograph: bytes) -> None:
    longer = (PHOTOGRAPHS / "coffee.jpg").read_bytes()
    encoded = infer(client, MODEL, image(photograph, longer))["encoded"]
    assert encoded.shape == (2, len(longer))
    assert encoded[0].tobytes() == photograph + bytes(len(longer) - len(photograph))


@pytest.mark.parametrize("file", [png_header(7000, 7000), jpeg_header(7000, 7000)])
def test_a_large_image_passes(client: InferenceServerClient, file: bytes) -> None:
    assert infer(client, MODEL, image(file))["encoded"].tobytes() == file


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        (png_header(100_000, 100_000), "has 100000 x 100000 pixels: at most 50000000"),
        (jpeg_header(65_000, 65_000), "has 65000 x 65000 pixels: at most 50000000"),
        (png_header(10, 10)[:20], "incomplete PNG"),
        (jpeg_header(10, 10)[:14], "incomplete JPEG"),
        (b"\xff\xd8\xff" + b"\0" * 40, "damaged or incomplete JPEG"),
        (b"GIF89a" + bytes(30), "neither a JPEG nor a PNG"),
        (base64.b64encode(b"GIF89a" + bytes(30)), "neither a JPEG nor a PNG, nor base64 of one"),
    ],
)
def test_what_is_refused(client: InferenceServerClient, file: bytes, complaint: str) -> None:
    with pytest.raises(InferenceServerException, match=complaint) as error:
        infer(client, MODEL, image(file))
    assert error.value.status() == "400"
