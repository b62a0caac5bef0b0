"""`byoc invoke` against the real `serve`, whose models were deployed by `byoc deploy` to the emulated account."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from byoc.aws import Aws
from tests.byoc.conftest import BUCKET, Byoc, deploy, write_endpoint
from tests.byoc.real_models import npy, write_real_model
from tests.byoc.runtime_shim import Hosted, hosting


@pytest.fixture
def hosted(account: Aws, byoc: Byoc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    """An asynchronous endpoint too: the shim takes either kind of request."""
    write_real_model(tmp_path / "repository" / "scale", "scale")
    output = {"output": f"s3://{BUCKET}/out", "failure": f"s3://{BUCKET}/failed"}
    file = write_endpoint(tmp_path, async_inference=output)
    assert deploy(byoc, file).status == 0
    with hosting(account, "classifier", tmp_path / "opt-ml") as hosted:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", hosted.url)
        yield hosted


def test_invoke(hosted: Hosted, byoc: Byoc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One container for all tests, because it takes seconds to start."""
    _tensors(byoc, tmp_path)
    _plain_json(byoc, tmp_path, monkeypatch)
    _headers(hosted, byoc, tmp_path)
    _waits_for_the_model(hosted, byoc, tmp_path, monkeypatch)
    _model_error(byoc, tmp_path)
    _asynchronous(hosted, byoc, tmp_path)
    _wrong_endpoint(byoc, tmp_path)


def _tensors(byoc: Byoc, directory: Path) -> None:
    """Input from `.npy`; output to `.npy` and `.npz`, or printed."""
    file = npy(directory / "x.npy", 1, 2.5)
    binary = ["--kserve", "binary", "--input", "x"]
    assert byoc.ok("invoke", "classifier", file, *binary).out == "y float32[1, 2]: 2, 5\n"
    byoc.ok("invoke", "classifier", file, *binary, "--output", directory / "y.npy")
    assert np.load(directory / "y.npy").tolist() == [[2, 5]]
    byoc.ok("invoke", "classifier", file, *binary, "-o", directory / "y.npz")
    with np.load(directory / "y.npz") as archive:
        assert archive["y"].tolist() == [[2, 5]]
    shaped = byoc.ok("invoke", "classifier", file, *binary, "--shape", "2,1").out
    assert shaped == "y float32[2, 1]: 2, 5\n"
    as_json = json.loads(byoc.ok("invoke", "classifier", file, "--kserve", "json", "--input", "x").out)
    assert as_json["outputs"][0]["data"] == [2, 5]


def _plain_json(byoc: Byoc, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A complete request as the body, from a file and from stdin."""
    request = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [21]}]}
    (directory / "x.json").write_text(json.dumps(request))
    from_file = byoc.ok("invoke", "classifier", directory / "x.json")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(json.dumps(request).encode())))
    from_stdin = byoc.ok("invoke", "classifier", "-")
    assert from_file.out == from_stdin.out
    assert json.loads(from_file.out)["outputs"][0]["data"] == [42]
    byoc.ok("invoke", "classifier", directory / "x.json", "--output", directory / "answer.json")
    assert json.loads((directory / "answer.json").read_bytes())["outputs"][0]["data"] == [42]


def _headers(hosted: Hosted, byoc: Byoc, directory: Path) -> None:
    options = ["--accept", "application/json", "--variant", "AllTraffic", "--inference-id", "id-1",
               "--custom-attributes", "a=b", "--content-type", "application/json"]  # fmt: skip
    byoc.ok("invoke", "classifier", directory / "x.json", *options)
    sent = hosted.passed_on[-1]
    prefix = "X-Amzn-SageMaker-"
    assert (sent["Accept"], sent["Content-Type"]) == ("application/json", "application/json")
    assert (sent[f"{prefix}Target-Variant"], sent[f"{prefix}Inference-Id"]) == ("AllTraffic", "id-1")
    assert sent[f"{prefix}Custom-Attributes"] == "a=b"


def _waits_for_the_model(hosted: Hosted, byoc: Byoc, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SageMaker returns ModelNotReady during a load; botocore does not retry it."""
    pauses: list[float] = []
    hosted.not_ready = 5
    with monkeypatch.context() as patch:
        patch.setattr("byoc.endpoint.invocation.time.sleep", pauses.append)
        result = byoc.ok("invoke", "classifier", directory / "x.json")
    assert json.loads(result.out)["outputs"][0]["data"] == [42]
    assert pauses == [1, 2, 4, 8, 10]
    assert "the model is loading" in result.err
    hosted.not_ready = 5
    result = byoc("invoke", "classifier", directory / "x.json", "--timeout", "0.5")
    assert (result.status, hosted.not_ready) == (1, 4)
    assert "The model is still not ready" in result.err
    hosted.not_ready = 0


def _model_error(byoc: Byoc, directory: Path) -> None:
    """The container's error message is shown to the user."""
    result = byoc(
        "invoke", "classifier", npy(directory / "nan.npy", float("nan")), "--kserve", "binary", "--input", "x"
    )
    assert result.status == 1
    assert "The model returned" in result.err
    assert "x has a value that is not finite" in result.err
    assert "byoc logs classifier" in result.err


def _asynchronous(hosted: Hosted, byoc: Byoc, directory: Path) -> None:
    result = byoc.ok("invoke", "classifier", directory / "x.json", "--async", "--interval", "0.01")
    assert json.loads(result.out)["outputs"][0]["data"] == [42]
    hosted.aws.s3.upload_file(str(directory / "x.json"), BUCKET, "in/x.json")
    result = byoc.ok("invoke", "classifier", f"s3://{BUCKET}/in/x.json", "--async", "--interval", "0.01")
    assert json.loads(result.out)["outputs"][0]["data"] == [42]
    (directory / "large.json").write_text(" " * 200_000)
    result = byoc("invoke", "classifier", directory / "large.json", "--async")
    assert "the limit of an asynchronous request is 128,000. Upload it" in result.err
    (directory / "wrong.json").write_text('{"inputs": []}')
    result = byoc("invoke", "classifier", directory / "wrong.json", "--async", "--interval", "0.01")
    assert result.status == 1
    assert f"(s3://{BUCKET}/failed/" in result.err


def _wrong_endpoint(byoc: Byoc, directory: Path) -> None:
    result = byoc("invoke", "nobody", directory / "x.json")
    assert (result.status, "There is no endpoint 'nobody'. Check the name" in result.err) == (1, True)


def test_stream(account: Aws, byoc: Byoc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_real_model(tmp_path / "repository" / "words", "words")
    file = write_endpoint(tmp_path, environment={"SAGEMAKER_TRITON_INFERENCE_TYPE": "generate_stream"})
    assert deploy(byoc, file).status == 0
    (tmp_path / "text.json").write_text('{"text": "one two three"}')
    with hosting(account, "classifier", tmp_path / "opt-ml") as hosted:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", hosted.url)
        shown = byoc.ok("invoke", "classifier", tmp_path / "text.json", "--stream").out
        lines = [line.removeprefix("data:") for line in shown.splitlines() if line]
        assert [json.loads(line)["word"] for line in lines] == ["one", "two", "three"]
        byoc.ok("invoke", "classifier", tmp_path / "text.json", "--stream", "--output", tmp_path / "answer")
        assert (tmp_path / "answer").read_text() == shown
        (tmp_path / "wrong.json").write_text('{"nonsense": 1}')
        result = byoc("invoke", "classifier", tmp_path / "wrong.json", "--stream", "-o", tmp_path / "answer")
        assert (result.status, "The model returned" in result.err) == (1, True)


def test_many_models(account: Aws, byoc: Byoc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, factor in (("ada", 3), ("grace", 5)):
        write_real_model(tmp_path / "tenants" / name, "scale", factor)
    assert deploy(byoc, write_endpoint(tmp_path, model=None, models="tenants")).status == 0
    file = npy(tmp_path / "x.npy", 7)
    with hosting(account, "classifier", tmp_path / "opt-ml") as hosted:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", hosted.url)
        ask = ["invoke", "classifier", file, "--kserve", "binary", "--input", "x"]
        assert byoc.ok(*ask, "--target-model", "ada.tar.gz").out == "y float32[1, 1]: 21\n"
        assert byoc.ok(*ask, "--target-model", "grace.tar.gz").out == "y float32[1, 1]: 35\n"
        result = byoc(*ask)
        assert (result.status, "Name the model: --target-model NAME.tar.gz" in result.err) == (1, True)
