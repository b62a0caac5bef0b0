"""Request bodies from files, and responses as text and arrays."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput

from byoc.endpoint.payload import Payload, as_kserve, from_file, guess_content_type, readable, save, tensors
from byoc.errors import ConfigurationError, InvocationError
from serve import sagemaker


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("x.npy", b"", "application/x-npy"),
        ("x.NPZ", b"", "application/x-npz"),
        ("x.jsonl", b"", "application/jsonlines"),
        ("x.jpg", b"", "image/jpeg"),
        ("x.csv", b"", "text/csv"),
        ("s3://bucket/in/x.json", b"", "application/json"),
        ("x", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("-", b"\x93NUMPY\x01", "application/x-npy"),
        ("-", b'  {"inputs": []}', "application/json"),
        ("-", b"\x00\x01", "application/octet-stream"),
    ],
)
def test_content_type(name: str, body: bytes, expected: str) -> None:
    assert guess_content_type(name, body) == expected


def test_file_and_stdin(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"{}")
    assert from_file(str(tmp_path / "x.json"), io.BytesIO()) == Payload(b"{}", "application/json")
    assert from_file("-", io.BytesIO(b"{}"), "text/plain") == Payload(b"{}", "text/plain")
    with pytest.raises(ConfigurationError, match="nothing cannot be read: No such file"):
        from_file(str(tmp_path / "nothing"), io.BytesIO())


def test_kserve_bytes_are_a_batch_of_one() -> None:
    made = as_kserve(Payload(b"\xff\xd8", "image/jpeg"), "binary", "image")
    size = int(made.content_type.removeprefix(sagemaker.BINARY_JSON_PREFIX))
    [described] = json.loads(made.body[:size])["inputs"]
    assert (described["name"], described["datatype"], described["shape"]) == ("image", "BYTES", [1, 1])
    assert made.body[size:] == b"\x02\x00\x00\x00\xff\xd8"
    with pytest.raises(ConfigurationError, match=r"--kserve json cannot represent this.*Use --kserve binary"):
        as_kserve(Payload(b"\xff\xd8", "image/jpeg"), "json", "image")


def test_npy_that_is_none_or_has_another_shape() -> None:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    for body, shape in ((b"\x93NUMPY", None), (file.getvalue(), (2, 2))):
        with pytest.raises(ConfigurationError, match=r"not a \.npy file with a plain array of this shape"):
            as_kserve(Payload(body, "application/x-npy"), "binary", "x", shape)


def binary_response(**arrays: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> tuple[bytes, str]:
    """What Triton returns in binary+json; as a request's inputs are encoded, with another key."""
    inputs = [InferInput(name, list(array.shape), "FP32") for name, array in arrays.items()]
    for one, array in zip(inputs, arrays.values(), strict=True):
        one.set_data_from_numpy(array, binary_data=True)
    body, size = InferenceServerClient.generate_request_body(inputs)
    header = json.loads(bytes(body)[:size])
    header = json.dumps({"model_name": "m", "model_version": "1", "outputs": header["inputs"]}).encode()
    return header + bytes(body)[size:], f"{sagemaker.BINARY_JSON_PREFIX}{len(header)}"


def test_tensors_as_text_and_files(tmp_path: Path) -> None:
    first, second = np.arange(24, dtype=np.float32), np.ones((1, 2), dtype=np.float32)
    body, content_type = binary_response(a=first, b=second)
    shown = readable(body, content_type)
    assert shown is not None
    assert shown.splitlines()[0].startswith("a float32[24]: 0, 1, 2,")
    assert shown.splitlines()[0].endswith("19, … 4 more")
    assert shown.splitlines()[1] == "b float32[1, 2]: 1, 1"
    save(body, content_type, tmp_path / "y.npz")
    with np.load(tmp_path / "y.npz") as saved:
        assert (saved["a"].tolist(), saved["b"].tolist()) == (first.tolist(), second.tolist())
    with pytest.raises(ConfigurationError, match=r"y\.npy: the response has 2 tensors. Use a \.npz file"):
        save(body, content_type, tmp_path / "y.npy")


def test_response_without_tensors(tmp_path: Path) -> None:
    assert tensors(b"{}", "application/json") is None
    save(b"{}", "application/json", tmp_path / "y.json")
    assert (tmp_path / "y.json").read_bytes() == b"{}"
    with pytest.raises(ConfigurationError, match=r"the response is application/json, without tensors"):
        save(b"{}", "application/json", tmp_path / "y.npz")


def test_response_that_does_not_match_its_content_type() -> None:
    with pytest.raises(InvocationError, match="does not match its content type"):
        tensors(b"nonsense", f"{sagemaker.BINARY_JSON_PREFIX}4")


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b'{"a":1}', "application/json", '{\n  "a": 1\n}'),
        (b"{broken", "application/json", "{broken"),
        (b"a,b", "text/csv", "a,b"),
        (b"\xff\xd8", "image/jpeg", None),
    ],
)
def test_readable(body: bytes, content_type: str, expected: str | None) -> None:
    assert readable(body, content_type) == expected
