"""Callers' mistakes: each gets its status and a reason, and the next request is answered.

The same through HAProxy and through the app alone.
"""

from __future__ import annotations

import base64
import json
import socket
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from tests.serve.client import connection, kserve, response_of, send, send_bytes, text_request
from tests.serving import RunningServe

BINARY = "application/vnd.sagemaker-triton.binary+json;json-header-size="
JSON = "application/json"


@dataclass(frozen=True)
class Mistake:
    """A request, the status that it must get, and words that the error must have."""

    status: int
    words: str
    body: bytes | None = None
    content_type: str | None = JSON
    method: str = "POST"
    path: str = "/invocations"
    headers: dict[str, str] = field(default_factory=dict)


def image(data: object, **more: object) -> bytes:
    return json.dumps(
        {"inputs": [{"name": "image", "shape": [1, 1], "datatype": "BYTES", "data": [data], **more}]}
    ).encode()


TENSOR = json.loads(image("x"))["inputs"][0]
HEADER = json.dumps({"inputs": [{**TENSOR, "data": None, "parameters": {"binary_data_size": 8}}]}).encode()
# fmt: off
MISTAKES = {
    "text for an image": Mistake(400, "neither a JPEG nor a PNG", image("hello")),
    "wrong data type": Mistake(400, "expects 'BYTES'", image(1, datatype="INT32")),
    "unknown data type": Mistake(400, "datatype", image("x", datatype="JPEG")),
    "wrong shape": Mistake(400, "shape", image("x", shape=[1])),
    "shape and data differ": Mistake(400, "expected 2 string elements", image("x", shape=[2, 1])),
    "negative shape": Mistake(400, "shape", image("x", shape=[-1, 1])),
    "batch too large": Mistake(400, "batch-size must be <= 8", kserve("image", *["x"] * 9, shape=(9, 1))),
    "wrong input name": Mistake(400, "picture", image("x", name="picture")),
    "two inputs": Mistake(400, "inputs", json.dumps({"inputs": [TENSOR, {**TENSOR, "name": "b"}]}).encode()),
    "no inputs": Mistake(400, "inputs", b'{"inputs": []}'),
    "inputs is no list": Mistake(400, "inputs", b'{"inputs": 3}'),
    "unknown output": Mistake(400, "colour", kserve("image", "x", shape=(1, 1), outputs=[{"name": "colour"}])),
    "no key inputs": Mistake(400, "no key 'inputs'", b'{"instances": [1, 2]}'),
    "JSON that ends early": Mistake(400, "JSON", image("x")[:-5]),
    "JSON that goes on": Mistake(400, "JSON", image("x") + b"}"),
    "JSON list": Mistake(400, "JSON list", b"[1, 2, 3]"),
    "JSON number": Mistake(400, "JSON int", b"3"),
    "no JSON": Mistake(400, "not JSON", b"hello"),
    "no UTF-8": Mistake(400, "not JSON", b"\xff\xfe\xfd"),
    "deep JSON": Mistake(400, "JSON", b'{"inputs": ' + b"[" * 100_000),
    "empty body": Mistake(400, "the body is empty", b""),
    "no body": Mistake(400, "the body is empty", None, None),
    "content type of a film": Mistake(415, "'video/mp4' is not supported", b"\x00\x00\x00\x18ftyp", "video/mp4"),
    "broken JPEG": Mistake(400, "JPEG", b"\xff\xd8\xff\xe0broken", f"{BINARY}0"),
    "empty raw body": Mistake(400, "", b"", f"{BINARY}0"),
    "header size beyond the body": Mistake(400, "", HEADER + bytes(8), f"{BINARY}{len(HEADER) + 100}"),
    "header size too small": Mistake(400, "JSON", HEADER + bytes(8), f"{BINARY}{len(HEADER) - 3}"),
    "tensor shorter than it says": Mistake(400, "", HEADER + bytes(4), f"{BINARY}{len(HEADER)}"),
    "more bytes than tensors": Mistake(400, "", HEADER + b"\4\0\0\0abcd" + bytes(100), f"{BINARY}{len(HEADER)}"),
    "header size -1": Mistake(400, "json-header-size=-1", b"x", f"{BINARY}-1"),
    "header size without end": Mistake(400, "json-header-size=9999", b"x", f"{BINARY}{'9' * 40}"),
    "header size that is no number": Mistake(400, "json-header-size=ten", b"x", f"{BINARY}ten"),
    "no header size": Mistake(400, "json-header-size", b"x", BINARY.partition(";")[0]),
    "unknown path": Mistake(404, "/nothing", b"{}", path="/nothing"),
    "path of a neighbour": Mistake(404, "/invocations/", b"{}", path="/invocations/"),
    "Triton's own path": Mistake(404, "/v2/models", None, None, "GET", "/v2/models/image_classification"),
    "path out of the root": Mistake(404, "", None, None, "GET", "/../../etc/passwd"),
    "GET an invocation": Mistake(405, "expected POST", None, None, "GET"),
    "PUT an invocation": Mistake(405, "expected POST", image("x"), method="PUT"),
    "DELETE /ping": Mistake(405, "expected GET, ", None, None, "DELETE", "/ping"),
    "POST /execution-parameters": Mistake(405, "expected GET", b"{}", path="/execution-parameters"),
}
# fmt: on


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_and_the_next_request_answered(
    classifier: RunningServe, cat: bytes, mistake: Mistake
) -> None:
    headers = {"Content-Type": mistake.content_type} if mistake.content_type else {}
    answer = send(classifier.port, mistake.method, mistake.path, mistake.body, {**headers, **mistake.headers})
    assert (answer.status, mistake.words in answer.error()) == (mistake.status, True), answer.body
    assert_answers(classifier, cat)


def test_half_a_jpeg(classifier: RunningServe, cat: bytes) -> None:
    answer = send(classifier.port, body=cat[: len(cat) // 2], headers={"Content-Type": f"{BINARY}0"})
    assert (answer.status, "damaged, incomplete" in answer.error()) == (400, True)
    assert_answers(classifier, cat)


def test_k_out_of_range(classifier: RunningServe, cat: bytes) -> None:
    headers = {"Content-Type": f"{BINARY}0", "X-Amzn-SageMaker-Custom-Attributes": "k=0"}
    answer = send(classifier.port, body=cat, headers=headers)
    assert (answer.status, "parameter 'k' is '0'" in answer.error()) == (400, True)
    assert_answers(classifier, cat)


def test_one_connection_survives_mistakes(classifier: RunningServe, cat: bytes) -> None:
    with connection(classifier.port) as opened:
        for body in (image("hello"), b"hello", b'{"inputs": [}', b"[]", image("x", name="picture")):
            opened.request("POST", "/invocations", body, {"Content-Type": JSON})
            answer = response_of(opened.getresponse())
            assert (answer.status, bool(answer.error())) == (400, True), body
        opened.request("POST", "/invocations", cat, {"Content-Type": f"{BINARY}0"})
        assert response_of(opened.getresponse()).status == 200


# What is no HTTP request can only be sent as bytes.
POST = b"POST /invocations HTTP/1.1\r\nHost: model.aws.local:8080\r\nContent-Type: application/json\r\n"
INVALID = {
    "no HTTP": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "chunk size that is no number": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    "Content-Length that is no number": POST + b"Content-Length: many\r\n\r\n{}",
    "negative Content-Length": POST + b"Content-Length: -1\r\n\r\n{}",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "header without colon": POST + b"Nonsense\r\n\r\n",
}


@pytest.mark.parametrize("data", INVALID.values(), ids=INVALID.keys())
def test_what_is_no_http_request(classifier_app: RunningServe, cat: bytes, data: bytes) -> None:
    answer = send_bytes(classifier_app.port, data)
    assert (answer.status, "not valid HTTP" in answer.error()) == (400, True)
    assert_answers(classifier_app, cat)


@pytest.mark.parametrize("data", INVALID.values(), ids=INVALID.keys())
def test_what_is_no_http_request_for_haproxy(classifier_gateway: RunningServe, cat: bytes, data: bytes) -> None:
    """HAProxy's parser returns its built-in page, so only the status is checked."""
    assert send_bytes(classifier_gateway.port, data).status == 400
    assert_answers(classifier_gateway, cat)


@pytest.mark.parametrize("size", [1024, 20_000])
def test_a_long_header(classifier: RunningServe, cat: bytes, size: int) -> None:
    """SageMaker forwards several headers of up to 1,024 bytes; HAProxy accepts 64 KB in total."""
    headers = {f"X-Amzn-SageMaker-Custom-{number}": "x" * size for number in range(20_000 // size)}
    answer = send(classifier.port, body=b'{"instances": []}', headers=headers)
    assert (answer.status, "no key 'inputs'" in answer.error()) == (400, True)
    assert_answers(classifier, cat)


def test_a_header_that_is_too_long(classifier_gateway: RunningServe, cat: bytes) -> None:
    """The header fits into HAProxy's buffer, but leaves too little space to rewrite the request."""
    answer = send(classifier_gateway.port, body=b"{}", headers={"X-Amzn-SageMaker-Custom-Attributes": "x" * 65_000})
    assert answer.status == 400
    assert_answers(classifier_gateway, cat)


def test_a_header_that_is_too_long_for_the_app(classifier_app: RunningServe, cat: bytes) -> None:
    head = POST + b"X-Amzn-SageMaker-Custom-Attributes: " + b"x" * 70_000
    assert "not valid HTTP" in send_bytes(classifier_app.port, head).error()
    assert_answers(classifier_app, cat)


def test_a_client_that_leaves_is_no_failure(probe: RunningServe) -> None:
    """A client that disconnects within its body or before the response: no error is logged."""
    before = len(probe.output())
    body = text_request(seconds=0.2)
    for sent in (body[:-10], body):
        with closing(socket.create_connection(("127.0.0.1", probe.port))) as opened:
            opened.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(body) + sent)
    for _ in range(2):  # of two instances each has then finished what was asked by those that have left
        assert send(probe.port, body=text_request(seconds=0.3)).status == 200
    told = probe.output()[before:]
    assert "Traceback" not in told
    assert "closed the connection" not in told


@pytest.mark.parametrize("content_type", [JSON, f"{BINARY}0"], ids=["JSON", "raw"])
def test_a_client_that_leaves_within_its_body(classifier: RunningServe, cat: bytes, content_type: str) -> None:
    start = POST.replace(JSON.encode(), content_type.encode()) + b"Content-Length: 100000\r\n\r\n"
    for _ in range(5):
        with closing(socket.create_connection(("127.0.0.1", classifier.port))) as opened:
            opened.sendall(start + cat[:1000])
    assert_answers(classifier, cat)


def test_a_client_that_leaves_before_the_answer(probe: RunningServe) -> None:
    body = text_request(seconds=1)
    for _ in range(4):
        with closing(socket.create_connection(("127.0.0.1", probe.port))) as opened:
            opened.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert send(probe.port, body=text_request()).status == 200


def test_both_front_ends_give_the_same_statuses(classifier_gateway: RunningServe, classifier_app: RunningServe) -> None:
    """Bodies at the border between KServe JSON for HAProxy and requests for the app."""

    def status(serve: RunningServe, body: bytes) -> int:
        return send(serve.port, body=body, headers={"Content-Type": "application/octet-stream"}).status

    bodies = [
        base64.b64encode(b"x"),
        b"",
        b"{",
        b'{"inputs"',
        b'{"inputs":',
        b'{"id":"1"}',
        b" ",
        b"null",
        b'""',
        b"{}",
    ]
    assert [status(classifier_gateway, body) for body in bodies] == [status(classifier_app, body) for body in bodies]


def assert_answers(serve: RunningServe, cat: bytes) -> None:
    answer = send(serve.port, body=cat, headers={"Content-Type": f"{BINARY}0"})
    assert (answer.status, b"Egyptian cat" in answer.body) == (200, True)
