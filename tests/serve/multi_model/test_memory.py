"""507: memory or another resource is short. SageMaker then unloads another model and retries."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.serve.client import Response
from tests.serve.multi_model.archives import Model, ensemble, word, write_archive
from tests.serve.multi_model.conftest import WriteArchive, running_endpoint
from tests.serve.multi_model.endpoint import Endpoint

GIB = 1024**3

OUT_OF_MEMORY = {
    "Python": "MemoryError: ",
    "PyTorch": "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB",
    "CUDA": "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)",
    "TensorFlow": "RuntimeError: OOM when allocating tensor with shape[1024,1024]",
    "disk": "OSError: [Errno 28] No space left on device",
}
NOT_OUT_OF_MEMORY = {
    "BLOOM": "RuntimeError: BLOOM-7b is not supported",
    "room": "RuntimeError: no ROOMS",
    "memory in other words": "RuntimeError: the memory of elephants",
}


def assert_refused(answer: Response, *words: str) -> None:
    assert answer.status == 507, answer
    for each in words:
        assert each in answer.error()


def test_memory_that_the_archive_says_it_needs(endpoint: Endpoint, archive: WriteArchive) -> None:
    """The required memory of a tenant is the sum over its models."""
    half = str(12 * 1024**2)
    models = {
        "pipeline": ensemble("a", "b"),
        "a": word("a", sagemaker__required_memory_mb=half),
        "b": word("b", sagemaker__required_memory_mb=half),
    }
    answer = endpoint.load("big", archive("big", models))
    assert_refused(answer, "not enough host memory", f"{24 * 1024**2} MiB are needed", "MiB are left")
    assert endpoint.get("big").status == 404
    assert endpoint.left() == {}
    assert endpoint.load("big", archive("big", word("small", sagemaker__required_memory_mb="10"))).status == 200
    assert endpoint.said("big") == "hello small"


def test_an_archive_larger_than_the_memory(gateway: Endpoint, archive: WriteArchive) -> None:
    url = archive("large", word())
    with (url / "1" / "weights").open("wb") as weights:
        weights.truncate(1024 * GIB)  # on paper
    assert_refused(gateway.load("large", url), "not enough host memory", "1048576 MiB are needed")


@pytest.mark.parametrize("kind", OUT_OF_MEMORY)
def test_out_of_memory_while_loading(gateway: Endpoint, archive: WriteArchive, kind: str) -> None:
    models = {"pipeline": ensemble("good", "bad"), "good": word(), "bad": word(raises=OUT_OF_MEMORY[kind])}
    assert_refused(gateway.load("full", archive("full", models)), OUT_OF_MEMORY[kind].partition(": ")[0])
    assert gateway.left() == {}
    assert gateway.load("full", archive("full", {"pipeline": ensemble("probe")})).status == 200


@pytest.mark.parametrize("kind", OUT_OF_MEMORY)
def test_out_of_memory_while_answering(endpoint: Endpoint, archive: WriteArchive, kind: str) -> None:
    assert endpoint.load("full", archive("full", word(raises_on_execute=OUT_OF_MEMORY[kind]))).status == 200
    assert_refused(endpoint.invoke("full"), OUT_OF_MEMORY[kind].partition(": ")[2])
    assert endpoint.get("full").status == 200


@pytest.mark.parametrize("kind", NOT_OUT_OF_MEMORY)
def test_other_errors_are_not_out_of_memory(endpoint: Endpoint, archive: WriteArchive, kind: str) -> None:
    error = NOT_OUT_OF_MEMORY[kind]
    answer = endpoint.load("bad", archive("bad", word(raises=error)))
    assert answer.status == 400
    assert error.partition(": ")[2] in answer.error()
    assert endpoint.load("bad", archive("bad", word(raises_on_execute=error))).status == 200
    answer = endpoint.invoke("bad")
    assert answer.status == 500
    assert error.partition(": ")[2] in answer.error()


def test_the_name_of_a_model_is_not_out_of_memory(endpoint: Endpoint, archive: WriteArchive) -> None:
    """A model's name that looks like a memory error is not mistaken for one."""
    name = "BLOOM-and-ROOM"
    assert endpoint.load(name, archive(name, word(raises="ValueError: no"))).status == 400
    assert endpoint.load(name, archive(name, word("yes"))).status == 200
    assert endpoint.call("POST", f"/models/{name}/invoke", b'{"inputs": []}').status == 400


@pytest.fixture(scope="module")
def short_of_shared_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Each process of a Python model is to get more shared memory than two thirds of what there is."""
    size = shutil.disk_usage("/dev/shm").free * 2 // 3
    settings = {"SAGEMAKER_TRITON_SHM_DEFAULT_BYTE_SIZE": str(size)}
    with running_endpoint(tmp_path_factory.mktemp("shm"), settings) as endpoint:
        yield endpoint


def test_shared_memory_is_short(short_of_shared_memory: Endpoint) -> None:
    endpoint = short_of_shared_memory
    models: dict[str, Model] = {"pipeline": ensemble("a", "b"), "a": word(), "b": word()}
    url = write_archive(endpoint.models_dir / "two" / "model", models)
    assert_refused(endpoint.load("two", url), "not enough shared memory (/dev/shm)", "MiB are needed")
    assert endpoint.left() == {}
    url = write_archive(endpoint.models_dir / "two-processes" / "model", word(more="instance_group [{ count: 2 }]"))
    assert_refused(endpoint.load("two-processes", url), "not enough shared memory (/dev/shm)")
