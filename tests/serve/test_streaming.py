"""`generate`, `generate_stream`, and responses that arrive while the model is still working."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.serve.client import connection, send
from tests.serve.conftest import make_base_dir
from tests.serving import RunningServe, running_serve

WORDS = ["chunks", "arrive", "one", "by", "one"]
EVENTS = {"Accept": "text/event-stream", "Content-Type": "application/json"}

Start = Callable[..., RunningServe]


@pytest.fixture(scope="module", params=["gateway", "app"])
def start(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Returns a function: inference type, models, the first of which is the default → a server that has them."""
    with ExitStack() as stack:
        running: dict[tuple[str, ...], RunningServe] = {}

        def serve(inference_type: str, *models: str) -> RunningServe:
            key = (inference_type, *models)
            if key not in running:
                base_dir = make_base_dir(tmp_path_factory.mktemp("streaming"), *models)
                environment = {"SAGEMAKER_TRITON_INFERENCE_TYPE": inference_type}
                running[key] = stack.enter_context(
                    running_serve(base_dir, environment, haproxy=request.param == "gateway")
                )
            return running[key]

        yield serve


def body(confirmations: Path) -> bytes:
    return json.dumps({"text": " ".join(WORDS), "confirmations": str(confirmations)}).encode()


def words(response: HTTPResponse, confirmations: Path) -> list[str]:
    """Read a stream word by word, and let the model go on only once its last word is here."""
    received: list[str] = []
    for line in response:
        if line.startswith(b"data: "):
            event = json.loads(line.removeprefix(b"data: "))
            assert "error" not in event, event
            (confirmations / str(len(received))).touch()
            received.append(event["token"])
    return received


@pytest.mark.parametrize("more", [{}, {"X-Amzn-SageMaker-Inference-Id": "abc"}], ids=["plain", "header"])
@pytest.mark.parametrize("inference_type", ["generate_stream", "infer"])
def test_words_arrive_one_by_one(start: Start, tmp_path: Path, inference_type: str, more: dict[str, str]) -> None:
    """The model sends a word only after the previous one has arrived: nothing may buffer the stream."""
    serve = start(inference_type, "tokens")
    headers = {**(EVENTS if inference_type == "infer" else {}), **more}
    with connection(serve.port) as opened:
        opened.request("POST", "/invocations", body(tmp_path), headers)
        response = opened.getresponse()
        assert (response.status, response.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        assert words(response, tmp_path) == WORDS


def test_two_streams_on_one_connection(start: Start, tmp_path: Path) -> None:
    serve = start("generate_stream", "tokens")
    with connection(serve.port) as opened:
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            opened.request("POST", "/invocations", body(tmp_path / name))
            assert words(opened.getresponse(), tmp_path / name) == WORDS


def test_a_caller_who_leaves_a_stream_leaves_the_server_well(start: Start, tmp_path: Path) -> None:
    serve = start("generate_stream", "tokens")
    (tmp_path / "left").mkdir()
    with connection(serve.port) as opened:
        opened.request("POST", "/invocations", body(tmp_path / "left"))
        assert opened.getresponse().readline().startswith(b"data: ")
    for number in range(len(WORDS)):
        (tmp_path / "left" / str(number)).touch()
    with connection(serve.port) as opened:
        opened.request("POST", "/invocations", body(tmp_path))
        assert words(opened.getresponse(), tmp_path) == WORDS


@pytest.mark.parametrize(
    ("content", "status", "complaint"),
    [
        (b'{"confirmations": "/tmp"}', 400, "text"),
        (b'{"text": ["a", "b"], "confirmations": "/tmp"}', 400, "text"),
        (b'{"text": ', 400, "JSON"),
        (b"[1]", 400, "JSON list"),
        (b"", 400, "the body is empty"),
    ],
)
def test_what_is_no_generate_request(start: Start, content: bytes, status: int, complaint: str) -> None:
    answer = send(start("generate_stream", "tokens").port, body=content, headers={"Content-Type": "application/json"})
    assert (answer.status, complaint in answer.error()) == (status, True), answer.body


def test_infer_refuses_a_model_that_streams(start: Start) -> None:
    serve = start("infer", "tokens")
    inputs = [{"name": name, "shape": [1], "datatype": "BYTES", "data": ["x"]} for name in ("text", "confirmations")]
    answer = send(serve.port, body=json.dumps({"inputs": inputs}).encode())
    assert (answer.status, "decoupled" in answer.error()) == (501, True)


def test_generate(start: Start) -> None:
    serve = start("generate", "probe")
    answer = send(serve.port, body=json.dumps({"text": "hello", "parameters": {"temperature": 1}}).encode())
    assert (answer.status, answer.content_type.partition(";")[0]) == (200, "application/json")
    assert (answer.json()["text"], json.loads(answer.json()["parameters"])) == ("hello", {"temperature": 1})


@pytest.mark.parametrize("inference_type", ["generate", "infer"])
def test_sagemakers_headers_reach_the_models_of_generate_endpoints(start: Start, inference_type: str) -> None:
    """Headers reach the model, but never replace the caller's parameters."""
    serve = start(inference_type, "probe")
    headers = {
        "X-Amzn-SageMaker-Custom-Attributes": 'trace=7, name="ä"'.encode().decode("latin-1"),
        "X-Amzn-SageMaker-Inference-Id": "abc",
        "X-Amzn-SageMaker-Session-Id": "of SageMaker",
        "X-Amzn-SageMaker-Target-Model": "of SageMaker",
        "Authorization": "secret",
        **({} if inference_type == "generate" else EVENTS),
    }
    mine = {"x-amzn-sagemaker-session-id": "mine", "parameters": {"k": 3, "x-amzn-sagemaker-target-model": "mine"}}
    answer = send(serve.port, body=json.dumps({"text": "hello", **mine}).encode(), headers=headers)
    assert answer.status == 200, answer.body
    content = json.loads(answer.body.removeprefix(b"data: "))
    assert content["text"] == "hello"
    assert json.loads(content["parameters"]) == {
        "k": 3,
        "x-amzn-sagemaker-custom-attributes": 'trace=7, name="ä"',
        "x-amzn-sagemaker-inference-id": "abc",
        "x-amzn-sagemaker-session-id": "mine",
        "x-amzn-sagemaker-target-model": "mine",
    }


def test_an_empty_generate_request_with_headers(start: Start) -> None:
    answer = send(start("generate", "probe").port, body=b" {}", headers={"X-Amzn-SageMaker-Inference-Id": "abc"})
    assert (answer.status, "expected 1 inputs but got 0" in answer.error()) == (400, True)


def test_one_caller_of_generate_asks_for_a_stream(start: Start) -> None:
    serve = start("generate", "probe")
    answer = send(serve.port, body=b'{"text": "hello"}', headers=EVENTS)
    assert answer.content_type == "text/event-stream; charset=utf-8"
    assert json.loads(answer.body.removeprefix(b"data: "))["text"] == "hello"


def test_binary_requests_are_inferences_whatever_the_type(start: Start) -> None:
    serve = start("generate", "probe")
    content_type = "application/vnd.sagemaker-triton.binary+json;json-header-size="
    answer = send(serve.port, body=b"hello", headers={"Content-Type": f"{content_type}0"})
    assert (answer.status, b"hello" in answer.body) == (200, True)
    assert answer.content_type.startswith(content_type)
