"""The ensemble, as callers see it."""

from __future__ import annotations

import base64
import json
import re

import pytest
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests.models.client import image, infer, infer_together, post
from tests.models.conftest import PHOTOGRAPHS
from tests.triton import RunningTritonServer

MODEL = "image_classification"
INFER = f"/v2/models/{MODEL}/infer"
RAW = {"Inference-Header-Content-Length": "0"}


@pytest.mark.parametrize(("name", "label"), [("chelsea", "cat"), ("coffee", "espresso"), ("rocket", "missile")])
def test_the_first_label_is_what_the_photograph_shows(client: InferenceServerClient, name: str, label: str) -> None:
    outputs = infer(client, MODEL, image((PHOTOGRAPHS / f"{name}.jpg").read_bytes()))
    labels, probabilities = outputs["labels"][0], outputs["probabilities"][0]
    assert label in labels[0].decode()
    assert len(labels) == len(probabilities) == 5
    assert 1 >= probabilities[0] >= probabilities[1] >= probabilities[4] > 0


def test_most_of_what_the_cat_could_be_is_a_cat(client: InferenceServerClient, photograph: bytes) -> None:
    outputs = infer(client, MODEL, image(photograph))
    cats = [b"cat" in label for label in outputs["labels"][0]]
    assert outputs["probabilities"][0][cats].sum() > 0.9


def test_several_images_of_different_size_in_one_request(client: InferenceServerClient) -> None:
    files = [(PHOTOGRAPHS / f"{name}.jpg").read_bytes() for name in ("coffee", "chelsea", "rocket")]
    labels = infer(client, MODEL, image(*files))["labels"]
    assert [row[0] for row in labels] == [infer(client, MODEL, image(file))["labels"][0][0] for file in files]


def test_a_bare_jpeg_is_a_whole_request(server: RunningTritonServer, photograph: bytes) -> None:
    status, body = post(server.http, INFER, photograph, {**RAW, "X-Amzn-SageMaker-Custom-Attributes": "trace=7, k=2"})
    assert status == 200
    assert b"Egyptian cat" in body
    assert b'"shape":[1,2]' in body


def test_json_can_carry_the_image_as_base64(
    client: InferenceServerClient, server: RunningTritonServer, photograph: bytes
) -> None:
    tensor = {"name": "image", "shape": [1, 1], "datatype": "BYTES", "data": [base64.b64encode(photograph).decode()]}
    status, body = post(server.http, INFER, json.dumps({"inputs": [tensor], "parameters": {"k": 3}}).encode())
    assert status == 200
    answers = {output["name"]: output["data"] for output in json.loads(body)["outputs"]}
    expected = infer(client, MODEL, image(photograph), parameters={"k": 3})["labels"][0]
    assert answers["labels"] == [label.decode() for label in expected]


def test_a_broken_image_fails_only_its_own_request(server: RunningTritonServer, photograph: bytes) -> None:
    broken = photograph[: len(photograph) // 2]
    files = [broken if index in (2, 5) else photograph for index in range(8)]
    answers = infer_together(server.http, MODEL, [image(file) for file in files])
    failed = [index for index, answer in enumerate(answers) if isinstance(answer, str)]
    assert failed == [2, 5]
    for answer in answers:
        if isinstance(answer, str):
            assert re.search(r"^\[400\] .*damaged, incomplete", answer)
        else:
            assert answer["labels"][0][0] == b"Egyptian cat"


@pytest.mark.parametrize(
    ("shape", "data_type", "data", "complaint"),
    [
        ([1, 1], "UINT8", [1], "expects 'BYTES'"),
        ([1, 2], "BYTES", ["a", "b"], "unexpected shape for input 'image'"),
        ([1], "BYTES", ["a"], "unexpected shape for input 'image'"),
        ([9, 1], "BYTES", ["a"] * 9, "batch-size must be <= 8"),
        ([1, 1], "BYTES", ["nonsense"], "neither a JPEG nor a PNG, nor base64 of one: it starts with b'nonsense'"),
        ([1, 1], "BYTES", [""], "input 'image' is empty"),
    ],
)
def test_what_is_no_image_is_the_callers_error(
    server: RunningTritonServer, shape: list[int], data_type: str, data: list[object], complaint: str
) -> None:
    tensor = {"name": "image", "shape": shape, "datatype": data_type, "data": data}
    status, body = post(server.http, INFER, json.dumps({"inputs": [tensor]}).encode())
    assert status == 400
    assert complaint in json.loads(body)["error"]


@pytest.mark.parametrize("k", [0, 1001, -1, "three", 2.5, True])
def test_a_bad_k_is_named(client: InferenceServerClient, photograph: bytes, k: object) -> None:
    with pytest.raises(InferenceServerException, match=rf"parameter 'k' is {k!r}: .* from 1 to 1000") as error:
        infer(client, MODEL, image(photograph), parameters={"k": k})
    assert error.value.status() == "400"


def test_a_bad_k_in_the_header_is_named(server: RunningTritonServer, photograph: bytes) -> None:
    status, body = post(server.http, INFER, photograph, {**RAW, "x-amzn-sagemaker-custom-attributes": "k=many"})
    assert (status, "parameter 'k' is 'many'" in json.loads(body)["error"]) == (400, True)
