"""How requests are told apart. HAProxy follows the same patterns: tests/serve/test_invocations.py asks it."""

from __future__ import annotations

import pytest

from serve.codecs.kserve import binary_header_size, is_json_object, is_kserve_json

PREFIX = "application/vnd.sagemaker-triton.binary+json;json-header-size="


@pytest.mark.parametrize("key", ["inputs", "id", "parameters", "outputs"])
@pytest.mark.parametrize("shape", ['{{"{}":', ' \r\n\t{{ "{}" :', '{{\n  "{}"\n:'])
def test_kserve_json(key: str, shape: str) -> None:
    assert is_kserve_json(shape.format(key).encode())


@pytest.mark.parametrize(
    "start", ['{"instances":', '{"inputs"', "{inputs:", '[{"inputs":', '"inputs":', "", '{"inputsx":']
)
def test_other_json(start: str) -> None:
    assert not is_kserve_json(start.encode())


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
