"""`/invocations`: the same request in every format, through every front end."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

from tests.serve.client import Response, connection, kserve, response_of, send, text_request
from tests.serve.processes import await_true
from tests.serving import RunningServe

BINARY = "application/vnd.sagemaker-triton.binary+json;json-header-size="
CAT = "Egyptian cat"


every_front_end = pytest.mark.parametrize(
    "serve", ["classifier_gateway", "classifier_app", "classifier_native"], indirect=True
)


@pytest.fixture
def serve(request: pytest.FixtureRequest) -> RunningServe:
    server: RunningServe = request.getfixturevalue(request.param)
    return server


def image_json(cat: bytes, **more: Any) -> bytes:
    return kserve("image", base64.b64encode(cat).decode(), shape=(1, 1), **more)


def labels_of(answer: Response) -> list[str]:
    """Return the labels of an answer, in whichever of the two formats it is."""
    assert answer.status == 200, answer.body
    if answer.content_type.startswith(BINARY):
        size = int(answer.content_type.removeprefix(BINARY))
        result = InferenceServerClient.parse_response_body(answer.body, header_length=size)
        return [label.decode() for label in result.as_numpy("labels")[0]]
    assert answer.content_type == "application/json"
    outputs: dict[str, Any] = {output["name"]: output for output in answer.json()["outputs"]}
    labels: list[str] = outputs["labels"]["data"]
    return labels


def binary_request(cat: bytes, *, binary_outputs: bool) -> tuple[bytes, int]:
    tensor = InferInput("image", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[cat]], dtype=np.object_))
    outputs = [InferRequestedOutput(name, binary_data=binary_outputs) for name in ("labels", "probabilities")]
    body, size = InferenceServerClient.generate_request_body([tensor], outputs=outputs)
    return body, size


@every_front_end
def test_one_request_in_three_formats(serve: RunningServe, cat: bytes) -> None:
    body, size = binary_request(cat, binary_outputs=True)
    answers = [
        send(serve.port, body=image_json(cat), headers={"Content-Type": "application/json"}),
        send(serve.port, body=body, headers={"Content-Type": f"{BINARY}{size}"}),
        send(serve.port, body=cat, headers={"Content-Type": f"{BINARY}0"}),
    ]
    labels = [labels_of(answer) for answer in answers]
    assert labels[0][0] == CAT
    assert len(labels[0]) == 5
    assert labels[1] == labels[2] == labels[0]


@every_front_end
def test_binary_request_for_json_outputs(serve: RunningServe, cat: bytes) -> None:
    body, size = binary_request(cat, binary_outputs=False)
    answer = send(serve.port, body=body, headers={"Content-Type": f"{BINARY}{size}"})
    assert (answer.content_type, labels_of(answer)[0]) == ("application/json", CAT)


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "text/plain", "application/json; charset=utf-8", None]
)
def test_json_is_known_by_its_first_key_whatever_it_is_called(
    classifier: RunningServe, cat: bytes, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert labels_of(send(classifier.port, body=image_json(cat), headers=headers))[0] == CAT


@pytest.mark.parametrize(
    "start",
    [
        b'{"id": "7", "inputs"',
        b' \r\n\t{ "inputs"',
        b'{\n  "parameters": {"k": 2}, "inputs"',
        b'{"comment": 1, "inputs"',
    ],
)
def test_where_the_key_inputs_stands(classifier: RunningServe, cat: bytes, start: bytes) -> None:
    body = image_json(cat).replace(b'{"inputs"', start, 1)
    assert body.startswith(start)
    assert labels_of(send(classifier.port, body=body, headers={"Content-Type": "application/json"}))[0] == CAT


def test_unknown_key_behind_five_hundred_bytes(classifier: RunningServe, cat: bytes) -> None:
    body = json.dumps({"comment": "x" * 5000, **json.loads(image_json(cat))}).encode()
    assert labels_of(send(classifier.port, body=body))[0] == CAT


def test_the_header_size_may_follow_a_space_and_be_in_any_case(classifier: RunningServe, cat: bytes) -> None:
    content_type = "Application/vnd.SageMaker-Triton.binary+json; JSON-header-size=0"
    assert labels_of(send(classifier.port, body=cat, headers={"Content-Type": content_type}))[0] == CAT


def test_chunked_body(classifier: RunningServe, cat: bytes) -> None:
    """As batch transform sends it when MaxPayloadInMB is 0."""
    chunks = [cat[start : start + 1000] for start in range(0, len(cat), 1000)]
    with connection(classifier.port) as opened:
        opened.request("POST", "/invocations", iter(chunks), {"Content-Type": f"{BINARY}0"}, encode_chunked=True)
        assert labels_of(response_of(opened.getresponse()))[0] == CAT


def test_id_comes_back(classifier: RunningServe, cat: bytes) -> None:
    answer = send(classifier.port, body=image_json(cat, id="request-7"))
    assert (answer.status, answer.json()["id"]) == (200, "request-7")


def test_a_caller_cannot_set_the_inner_header(classifier: RunningServe, cat: bytes) -> None:
    headers = {"Inference-Header-Content-Length": "3", "Content-Type": "application/json"}
    assert labels_of(send(classifier.port, body=image_json(cat), headers=headers))[0] == CAT


def test_custom_attributes_are_request_parameters(classifier: RunningServe, cat: bytes) -> None:
    headers = {"Content-Type": f"{BINARY}0", "X-Amzn-SageMaker-Custom-Attributes": "k=2"}
    assert len(labels_of(send(classifier.port, body=cat, headers=headers))) == 2


def test_sagemakers_headers_reach_the_model_and_others_do_not(probe: RunningServe) -> None:
    headers = {
        "X-Amzn-SageMaker-Custom-Attributes": "trace=7, k=3",
        "X-Amzn-SageMaker-Inference-Id": "abc",
        "Authorization": "secret",
    }
    answer = send(probe.port, body=text_request(priority_of_mine="high"), headers=headers)
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    parameters = {name.lower(): value for name, value in json.loads(outputs["parameters"][0]).items()}
    assert parameters == {
        "priority_of_mine": "high",
        "x-amzn-sagemaker-custom-attributes": "trace=7, k=3",
        "x-amzn-sagemaker-inference-id": "abc",
    }


def test_several_requests_on_one_connection(probe: RunningServe) -> None:
    with connection(probe.port) as opened:
        for number in range(20):
            opened.request("POST", "/invocations", text_request(f"request {number}"))
            answer = json.loads(opened.getresponse().read())
            assert answer["outputs"][0]["data"] == [f"request {number}"]


def test_large_tensor(probe: RunningServe) -> None:
    text = "ä" * 5_000_000
    answer = send(probe.port, body=text_request(text))
    assert answer.status == 200
    assert answer.json()["outputs"][0]["data"] == [text]


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("CUDA out of memory. Tried to allocate 2.00 GiB", 507),
        ("failed to allocate 3 bytes", 507),
        ("OOM", 507),
        ("BLOOM can't answer this", 500),
        ("a division by zero", 500),
        ("Unexpected EOF while reading the dictionary", 500),
        ("Unable to parse the tokens", 500),
    ],
)
def test_a_models_error(probe: RunningServe, message: str, status: int) -> None:
    answer = send(probe.port, body=text_request(error=message))
    assert (answer.status, message in answer.error()) == (status, True)
    assert send(probe.port, body=text_request()).status == 200


@pytest.mark.parametrize(
    ("code", "status"),
    [("INTERNAL", 507), ("UNAVAILABLE", 507), ("INVALID_ARG", 400), ("NOT_FOUND", 404), ("CANCELLED", 400)],
)
def test_memory_is_missing_only_where_the_server_has_failed(probe: RunningServe, code: str, status: int) -> None:
    assert send(probe.port, body=text_request(error="out of memory", code=code)).status == status


@pytest.mark.parametrize(("name", "status"), [("MemoryError", 507), ("ValueError", 500)])
def test_an_exception_of_a_model(probe: RunningServe, name: str, status: int) -> None:
    answer = send(probe.port, body=text_request(**{"raise": name, "error": "while decoding"}))
    assert (answer.status, f"{name}: while decoding" in answer.error()) == (status, True)


@pytest.mark.parametrize(
    "body", [kserve("out of memory", "hello"), kserve("text", 3, data_type="OOM"), b'{"out of memory": 1}', b"OOM"]
)
def test_a_callers_words_are_no_lack_of_memory(probe: RunningServe, body: bytes) -> None:
    answer = send(probe.port, body=body, headers={"Content-Type": "application/json"})
    assert answer.status == 400, answer.error()


@pytest.mark.parametrize(("message", "status"), [("a division by zero", 500), ("out of memory", 507)])
def test_the_log_has_a_line_for_each_failure_and_none_for_others(
    probe: RunningServe, message: str, status: int
) -> None:
    name = f"request-{status}"
    headers = {"X-Amzn-SageMaker-Inference-Id": name}
    assert send(probe.port, body=text_request(), headers=headers).status == 200
    assert send(probe.port, body=b"hello", headers=headers).status == 415
    assert send(probe.port, "GET", "/ping", headers=headers).status == 200
    assert send(probe.port, body=text_request(error=message), headers=headers).status == status
    last = f"{name}-last"
    assert send(probe.port, body=text_request(error="x"), headers={"X-Amzn-SageMaker-Inference-Id": last}).status == 500
    await_true(lambda: last in probe.output(), "the log has the line of the last failure")
    lines = [line for line in probe.output().splitlines() if name in line and last not in line]
    assert len(lines) == 1
    assert re.fullmatch(rf"\w+: POST /invocations: {status} after \d+ ms, inference id {name}\b.*", lines[0])
