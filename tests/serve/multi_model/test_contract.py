"""SageMaker's contract for multi-model containers: every status and body, behind HAProxy and behind the app alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.serve.client import kserve, send
from tests.serve.multi_model.archives import Model, ensemble, word
from tests.serve.multi_model.conftest import SHARED, WriteArchive
from tests.serve.multi_model.endpoint import Endpoint, await_true

SHARED_ONLY = {"pipeline": ensemble("probe")}


def test_a_model_from_its_load_to_its_unload(endpoint: Endpoint, archive: WriteArchive) -> None:
    url = str(archive("life", word("there")))
    described = {"modelName": "life", "modelUrl": url}

    assert endpoint.get("life").status == 404
    loaded = endpoint.load("life", url)
    assert (loaded.status, loaded.json()) == (200, described)
    got = endpoint.get("life")
    assert (got.status, got.json(), got.content_type.partition(";")[0]) == (200, described, "application/json")
    assert endpoint.call("GET", "/models").json() == {"models": [described]}
    assert endpoint.said("life") == "hello there"
    again = endpoint.load("life", url)
    assert again.status == 409
    assert "'life' is already loaded" in again.error()
    assert endpoint.said("life") == "hello there"
    assert endpoint.unload("life").status == 200
    assert endpoint.left() == {}
    assert endpoint.call("GET", "/models").json() == {"models": []}


def test_calls_for_a_model_that_is_not_loaded(endpoint: Endpoint) -> None:
    for answer in (endpoint.get("nobody"), endpoint.unload("nobody"), endpoint.invoke("nobody")):
        assert answer.status == 404
        assert "'nobody' is not loaded" in answer.error()


def test_no_shared_model_is_a_tenant(endpoint: Endpoint, archive: WriteArchive) -> None:
    assert endpoint.load("user", archive("user", SHARED_ONLY)).status == 200
    assert endpoint.invoke("probe").status == 404
    assert endpoint.unload("probe").status == 404
    assert endpoint.said("user") == "hello"


def test_the_target_model_header_names_nothing(endpoint: Endpoint, archive: WriteArchive) -> None:
    """SageMaker sends the header with every call; only the path and the body select a model."""
    header = {"X-Amzn-SageMaker-Target-Model": "team/other.tar.gz", "Content-Type": "application/json"}
    body = json.dumps({"model_name": "one", "url": str(archive("one", SHARED_ONLY))}).encode()
    port = endpoint.serve.port
    assert send(port, "POST", "/models", body, header).status == 200
    assert [model["modelName"] for model in send(port, "GET", "/models", headers=header).json()["models"]] == ["one"]
    answer = send(port, "POST", "/models/one/invoke", kserve("text", "hello"), header)
    assert answer.status == 200
    assert answer.json()["outputs"][0]["data"] == ["hello"]
    assert send(port, "DELETE", "/models/one", headers=header).status == 200


def test_the_target_model_header_is_given_to_models_and_logged(endpoint: Endpoint, archive: WriteArchive) -> None:
    header = {"X-Amzn-SageMaker-Target-Model": "team/told.tar.gz", "Content-Type": "application/json"}
    config, code = ((SHARED / f"probe.{ending}").read_text() for ending in ("pbtxt", "py"))
    body = json.dumps({"model_name": "told", "url": str(archive("told", Model(config, {"1/model.py": code})))}).encode()
    port = endpoint.serve.port
    assert send(port, "POST", "/models", body, header).status == 200
    for content_type in ("application/json", "application/octet-stream"):
        answer = send(
            port, "POST", "/models/told/invoke", kserve("text", "x"), {**header, "Content-Type": content_type}
        )
        assert answer.status == 200, answer
        [shown] = [output["data"][0] for output in answer.json()["outputs"] if output["name"] == "parameters"]
        parameters = {name.lower(): value for name, value in json.loads(shown).items()}
        assert parameters["x-amzn-sagemaker-target-model"] == "team/told.tar.gz"
    assert send(port, "DELETE", "/models/told", headers=header).status == 200
    for line in ("loading 'told' from", "unloading 'told' (target model 'team/told.tar.gz')"):
        await_true(lambda line=line: line in endpoint.serve.output(), f"the log says: {line}")  # type: ignore[misc]


def test_every_form_of_a_request(endpoint: Endpoint, archive: WriteArchive) -> None:
    assert endpoint.load("forms", archive("forms", SHARED_ONLY)).status == 200
    path, port = "/models/forms/invoke", endpoint.serve.port
    plain = send(port, "POST", path, kserve("text", "hello"), {"Content-Type": "application/octet-stream"})
    assert (plain.status, plain.json()["outputs"][0]["data"]) == (200, ["hello"])
    tensor = b"\x05\x00\x00\x00hello"
    described = {"name": "text", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(tensor)}}
    head = json.dumps({"inputs": [described], "parameters": {"binary_data_output": True}}).encode()
    binary = f"application/vnd.sagemaker-triton.binary+json;json-header-size={len(head)}"
    answer = send(port, "POST", path, head + tensor, {"Content-Type": binary})
    assert answer.status == 200
    assert answer.body.endswith(tensor)
    size = int(answer.content_type.rpartition("=")[2])
    assert json.loads(answer.body[:size])["outputs"][0]["name"] == "said"
    raw = send(port, "POST", path, b"hello", {"Content-Type": f"{binary.rpartition('=')[0]}=0"})
    assert raw.status == 200
    assert raw.body.endswith(tensor)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{}", 400), (b"[1]", 400), (kserve("wrong", "x"), 400), (b"\xff\xd8", 415)],
    ids=["empty", "no inputs", "list", "wrong input", "a JPEG"],
)
def test_bad_invocations(endpoint: Endpoint, archive: WriteArchive, body: bytes, status: int) -> None:
    assert endpoint.load("strict", archive("strict", SHARED_ONLY)).status == 200
    answer = send(endpoint.serve.port, "POST", "/models/strict/invoke", body, {"Content-Type": "image/jpeg"})
    assert answer.status == status
    assert answer.error()
    assert endpoint.said("strict") == "hello"


LOAD_MISTAKES = {
    "empty": (b"", "not JSON"),
    "not JSON": (b'{"model_name": "a", }', "not JSON"),
    "not UTF-8": (b"\xff\xfe{}", "not JSON"),
    "nested too deeply": (b"[" * 100_000, "not JSON"),
    "list": (b"[]", "JSON list"),
    "null": (b"null", "JSON NoneType"),
    "no name": (b'{"url": "/x"}', "'model_name' is None"),
    "no url": (b'{"model_name": "a"}', "'url' is None"),
    "number for a name": (b'{"model_name": 3, "url": "/x"}', "'model_name' is 3"),
    "empty name": (b'{"model_name": "", "url": "/x"}', "'model_name' is ''"),
    "empty url": (b'{"model_name": "a", "url": ""}', "'url' is ''"),
    "slash in the name": (b'{"model_name": "a/b", "url": "/x"}', "without '/'"),
    "half a character in the name": (b'{"model_name": "\\ud800", "url": "/x"}', "model_name"),
    "half a character in the url": (b'{"model_name": "a", "url": "/\\ud800"}', "url"),
    "NUL in the url": (b'{"model_name": "a", "url": "/x\\u0000"}', "url"),
    "long url": (b'{"model_name": "a", "url": "/%s"}' % (b"x" * 5000), "url"),
}


@pytest.mark.parametrize("mistake", LOAD_MISTAKES)
def test_bad_load_requests(endpoint: Endpoint, mistake: str) -> None:
    body, words = LOAD_MISTAKES[mistake]
    answer = endpoint.call("POST", "/models", body)
    assert answer.status == 400, answer
    assert words in answer.error()


def test_the_url_must_lead_into_the_models_directory(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    word("outside").write(tmp_path / "outside")
    link = endpoint.models_dir / "link"
    link.symlink_to(tmp_path / "outside")
    looped = endpoint.models_dir / "loop"
    looped.symlink_to(looped)
    beside = endpoint.models_dir.parent / "models-of-others"
    beside.mkdir(exist_ok=True)
    for url in (tmp_path / "outside", link, f"{endpoint.models_dir}/../shared/probe", beside, "/", "/proc/self", "."):
        answer = endpoint.load("a", str(url))
        assert answer.status == 400, url
        assert str(url) in answer.error()
        assert "is not inside of" in answer.error(), url
    for url in (looped, endpoint.models_dir / "nothing"):
        answer = endpoint.load("a", str(url))
        assert answer.status == 400, url
        assert str(url) in answer.error()
    assert endpoint.left() == {}


def test_a_model_may_be_a_link_within_the_models_directory(endpoint: Endpoint, archive: WriteArchive) -> None:
    (endpoint.models_dir / "alias").symlink_to(archive("real", SHARED_ONLY))
    assert endpoint.load("alias", endpoint.models_dir / "alias").status == 200
    assert endpoint.said("alias") == "hello"


def test_methods_and_paths_that_there_are_none_of(endpoint: Endpoint) -> None:
    for method, path, status in [
        ("PUT", "/models", 405),
        ("DELETE", "/models", 405),
        ("POST", "/models/a", 405),
        ("GET", "/models/a/invoke", 405),
        ("GET", "/models/", 404),
        ("POST", "/models/a/b/invoke", 404),
        ("POST", "/models//invoke", 404),
        ("POST", "/invocations", 404),
    ]:
        answer = endpoint.call(method, path)
        assert answer.status == status, (method, path)
        assert answer.error()
