"""The stand-in for the onnxruntime backend, compared with the documented behaviour of the compiled one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from serve.machine.inspect import processors
from tests.models import onnx_models
from tests.models.client import connected, infer, infer_together, load_errors
from tests.triton import RunningTritonServer, TritonServerError, running_tritonserver

PLATFORM = 'platform: "onnxruntime_onnx"\n'
X = 'input [{ name: "x" data_type: TYPE_FP32 dims: [ 3 ] }]\n'
SHIFT = 'input [{ name: "shift" data_type: TYPE_FP32 dims: [ 1 ] optional: true }]\n'
BATCH = "max_batch_size: 4\n"
Y = 'output [{ name: "y" data_type: TYPE_FP32 dims: [ 3 ] }]\n'
WAITING = "dynamic_batching { preferred_batch_size: [ 4 ] max_queue_delay_microseconds: 2000000 }\n"
ONE = "instance_group [{ count: 1 kind: KIND_CPU }]\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTritonServer]:
    """One server with a model for each documented behaviour."""
    repository = tmp_path_factory.mktemp("onnx")
    affine = onnx_models.affine(["n", 3])
    onnx_models.add(repository, "no_config", affine, None)
    onnx_models.add(repository, "no_tensors", affine, PLATFORM + "max_batch_size: 16\n")
    onnx_models.add(repository, "fixed", onnx_models.affine([2, 3]), PLATFORM)
    onnx_models.add(
        repository, "renamed", affine, PLATFORM + X + Y + 'max_batch_size: 8 default_model_filename: "a.onnx"', "a.onnx"
    )
    onnx_models.add(repository, "unbatched", affine, PLATFORM + (X + Y).replace("[ 3 ]", "[ -1, 3 ]") + SHIFT)
    batched = PLATFORM + BATCH + WAITING + ONE
    onnx_models.add(repository, "batched", affine, batched + X + Y)
    onnx_models.add(repository, "flat", onnx_models.flat(), batched)
    onnx_models.add(repository, "gather", onnx_models.gather(), batched)
    reshaped = (X + Y).replace("[ 3 ]", "[ 1, 3 ] reshape: { shape: [ 3 ] }")
    onnx_models.add(repository, "reshaped", affine, PLATFORM + BATCH + reshaped + ONE)
    onnx_models.add(repository, "strings", onnx_models.strings(["n", 2]), None)
    with running_tritonserver(repository) as server:
        yield server


@pytest.fixture
def onnx_client(models: RunningTritonServer) -> Iterator[InferenceServerClient]:
    with connected(models.http) as client:
        yield client


def x(batch: int = 1, value: float = 1) -> dict[str, Any]:
    return {"x": np.full((batch, 3), value, np.float32)}


def tensors(client: InferenceServerClient, model: str, kind: str) -> list[tuple[str, str, list[int]]]:
    config: dict[str, Any] = client.get_model_config(model)
    return [(tensor["name"], tensor["data_type"], list(map(int, tensor["dims"]))) for tensor in config[kind]]


def test_a_model_without_configuration_is_completed_and_batches(onnx_client: InferenceServerClient) -> None:
    config = onnx_client.get_model_config("no_config")
    assert (config["backend"], config["max_batch_size"]) == ("onnxruntime", 4)
    assert "dynamic_batching" in config
    assert tensors(onnx_client, "no_config", "input") == [("x", "TYPE_FP32", [3])]
    assert tensors(onnx_client, "no_config", "output") == [("y", "TYPE_FP32", [3])]
    np.testing.assert_array_equal(infer(onnx_client, "no_config", x(4))["y"], np.full((4, 3), 3))


def test_a_batch_size_of_the_configuration_is_kept(onnx_client: InferenceServerClient) -> None:
    assert onnx_client.get_model_config("no_tensors")["max_batch_size"] == 16
    assert tensors(onnx_client, "no_tensors", "input") == [("x", "TYPE_FP32", [3])]
    assert infer(onnx_client, "no_tensors", x(16))["y"].shape == (16, 3)


def test_a_model_of_fixed_size_does_not_batch(onnx_client: InferenceServerClient) -> None:
    assert onnx_client.get_model_config("fixed")["max_batch_size"] == 0
    assert tensors(onnx_client, "fixed", "input") == [("x", "TYPE_FP32", [2, 3])]
    assert infer(onnx_client, "fixed", x(2))["y"].tolist() == [[3, 3, 3], [3, 3, 3]]


def test_default_model_filename(onnx_client: InferenceServerClient) -> None:
    assert infer(onnx_client, "renamed", x())["y"].tolist() == [[3, 3, 3]]


def test_reshape(onnx_client: InferenceServerClient) -> None:
    answer = infer(onnx_client, "reshaped", {"x": np.ones((2, 1, 3), np.float32)})["y"]
    assert answer.tolist() == [[[3, 3, 3]], [[3, 3, 3]]]


def test_an_optional_input_may_be_given_or_left_out(onnx_client: InferenceServerClient) -> None:
    assert infer(onnx_client, "unbatched", x())["y"].tolist() == [[3, 3, 3]]
    given = {**x(), "shift": np.array([5], np.float32)}
    assert infer(onnx_client, "unbatched", given)["y"].tolist() == [[7, 7, 7]]


def test_requests_share_a_run_and_get_their_own_answers(
    models: RunningTritonServer, onnx_client: InferenceServerClient
) -> None:
    answers = infer_together(models.http, "batched", [x(1, value) for value in range(4)])
    assert [answer["y"].tolist() for answer in answers if isinstance(answer, dict)] == [
        [[2 * value + 1] * 3] for value in range(4)
    ]
    statistics = onnx_client.get_inference_statistics("batched")["model_stats"][0]
    assert [(batch["batch_size"], batch["compute_infer"]["count"]) for batch in statistics["batch_stats"]] == [(4, 1)]


def test_one_bad_request_of_a_batch_fails_alone(models: RunningTritonServer) -> None:
    requests = [{"x": np.array([[index]], np.int64)} for index in (0, 1, 7, 2)]
    answers = infer_together(models.http, "gather", requests)
    assert [answer["y"].tolist() if isinstance(answer, dict) else "error" for answer in answers] == [
        [[10]],
        [[11]],
        "error",
        [[12]],
    ]
    assert "onnxruntime: " in str(answers[2])


def test_a_model_that_cannot_batch_says_so(models: RunningTritonServer) -> None:
    answers = infer_together(models.http, "flat", [x() for _ in range(4)])
    assert len(answers) == 4
    for answer in answers:
        assert "[500] output 'y' has shape [12, 1] for a batch of 4: the model does not support batching" in str(answer)


def test_strings(onnx_client: InferenceServerClient) -> None:
    text = np.array([["a", "Zürich"], ["", "日本"]], dtype=object)
    answer = infer(onnx_client, "strings", {"x": text})["y"]
    assert [[cell.decode() for cell in row] for row in answer] == text.tolist()


def test_bytes_that_are_no_text_are_the_callers_error(onnx_client: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="input 'x' is not UTF-8") as error:
        infer(onnx_client, "strings", {"x": np.array([[b"\xff", b"a"]], dtype=object)})
    assert error.value.status() == "400"


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        ({"x": np.ones((1, 3), np.float64)}, "data-type is 'FP64', but model 'batched' expects 'FP32'"),
        ({"x": np.ones((1, 4), np.float32)}, r"unexpected shape for input 'x'.*Expected \[-1,3\], got \[1,4\]"),
        ({"x": np.ones((5, 3), np.float32)}, "batch-size must be <= 4"),
        ({"z": np.ones((1, 3), np.float32)}, "unexpected inference input 'z'"),
    ],
)
def test_a_tensor_that_does_not_fit_is_the_callers_error(
    onnx_client: InferenceServerClient, inputs: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InferenceServerException, match=complaint) as error:
        infer(onnx_client, "batched", inputs)
    assert error.value.status() == "400"


REFUSED = {
    "data_type": (
        BATCH + X.replace("FP32", "INT32") + Y,
        "input 'x' is TYPE_INT32 in the configuration, but the file has TYPE_FP32",
    ),
    "dims": (
        BATCH + X.replace("[ 3 ]", "[ 4 ]") + Y,
        r"input 'x' has dims \[-1, 4\] with the batch in front, but the file has \[-1, 3\]",
    ),
    "output_name": (BATCH + X + Y.replace('"y"', '"z"'), r"output 'z' is not in .*model\.onnx, which has y"),
    "input_name": (BATCH + X.replace('"x"', '"w"') + Y, r"input 'w' is not in .*model\.onnx, which has shift, x"),
    "missing_input": (SHIFT + Y.replace("[ 3 ]", "[ -1, 3 ]"), r"lacks the input\(s\) x of"),
    "filename": (
        BATCH + X + Y + 'default_model_filename: "b.onnx"',
        r"b\.onnx does not exist \(the directory holds model\.onnx\)",
    ),
    "threads": (
        BATCH + X + Y + 'parameters [{ key: "intra_op_thread_count" value: { string_value: "all" } }]',
        "parameter 'intra_op_thread_count' is 'all', not a whole number",
    ),
    "session_entry": (
        BATCH + X + Y + 'parameters [{ key: "session.load_model_format" value: { string_value: "ORT" } }]',
        r"onnxruntime cannot load .*ORT model verification failed",
    ),
    "not_onnx": (BATCH + X + Y, r"onnxruntime cannot load .*model\.onnx"),
}


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each model's load error."""
    repository = tmp_path_factory.mktemp("refused")
    for name, (config, _) in REFUSED.items():
        onnx_models.add(repository, name, onnx_models.affine(["n", 3]), PLATFORM + ONE + config)
    (repository / "not_onnx" / "1" / "model.onnx").write_bytes(b"nonsense")
    return load_errors(repository)


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_be_served_does_not_load(refusals: dict[str, str], name: str) -> None:
    assert re.search(REFUSED[name][1], refusals[name])


def test_triton_refuses_kind_gpu_where_there_is_no_gpu(tmp_path: Path) -> None:
    """This is why `serve` rewrites KIND_GPU."""
    onnx_models.add(tmp_path, "m", onnx_models.affine(["n", 3]), PLATFORM + ONE.replace("KIND_CPU", "KIND_GPU"))
    with pytest.raises(TritonServerError, match="KIND_GPU"), running_tritonserver(tmp_path):
        pass


def stub_threads(server: RunningTritonServer, model: str) -> list[int]:
    """Return the number of threads of each process that runs an instance of the model (NAME_GROUP_INSTANCE)."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    stubs = [child for child in children if any(part.startswith(f"{model}_0_") for part in child.cmdline())]
    return [stub.num_threads() for stub in stubs]


def test_instances_share_the_cpus(tmp_path: Path) -> None:
    """A pool of n threads is n - 1 of its own and the one that calls: counted against a model that has one."""
    cpus = processors()
    affine = onnx_models.affine(["n", 3])
    for name, count, parameter in (("one", 1, ""), ("many", cpus, ""), ("told", 1, "5")):
        group = f"instance_group [{{ count: {count} kind: KIND_CPU }}]\n"
        threads = f'parameters [{{ key: "intra_op_thread_count" value: {{ string_value: "{parameter}" }} }}]'
        onnx_models.add(tmp_path, name, affine, PLATFORM + group + (threads if parameter else ""))
    with running_tritonserver(tmp_path) as server:
        many, one, told = (stub_threads(server, name) for name in ("many", "one", "told"))
    assert (len(many), len(one), len(told)) == (cpus, 1, 1)
    alone = many[0]
    assert many == [alone] * cpus
    assert one == [alone + cpus - 1]
    assert told == [alone + 5 - 1]
