"""How requests are told apart. HAProxy follows the same patterns: tests/serve/test_invocations.py asks it."""

from __future__ import annotations

import pytest

from serve.codecs.kserve import binary_header_size, is_json_object

PREFIX = "application/vnd.sagemaker-triton.binary+json;json-header-size="


@pytest.mark.parametrize(("start", "answer"), [(b'{"a":', True), (b" \n{", True), (b"[{", False), (b"", False)])
def test_json_object(start: bytes, answer: bool) -> None:
    assert is_json_object(start) is answer


@pytest.mark.parametrize(
    ("content_type", "size"),
    [
        (f"{PREFIX}0", 0),
        (f"{PREFIX}123", 123),
        (PREFIX.replace(";", "; ") + "123", 123),
        (f"{PREFIX.upper()}7", 7),
        (f"{PREFIX}999999999", 999_999_999),
        (f"{PREFIX}9999999999", None),
        (f"{PREFIX}-1", None),
        (f"{PREFIX}1x", None),
        (PREFIX, None),
        ("application/json", None),
        ("", None),
    ],
)
def test_header_size(content_type: str, size: int | None) -> None:
    assert binary_header_size(content_type) == size
