"""The model repository as it is served on this machine, and servers that hold it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tritonclient.http import InferenceServerClient

from tests.models.client import connected
from tests.triton import ROOT, RunningTritonServer, running_tritonserver

REPOSITORY = ROOT / "model_repository"
PHOTOGRAPHS = ROOT / "examples" / "photographs"
BUILT = (
    "efficientnet_lite0/1/model.onnx",
    "image_bytes/1/model.py",
    "image_classification/1",
    "image_decode/1/model.dali",
    "label_top_k/1/model.py",
    "mean_pool/1/model.py",
    "text_tokenize/tokenizer.json",
)


def on_cpu(config: Path) -> None:
    """Do what `serve` does on a machine without a GPU: Triton refuses KIND_GPU there."""
    config.write_text(config.read_text().replace("KIND_GPU", "KIND_CPU"))


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of model_repository/ for the CPU."""
    if missing := [path for path in BUILT if not (REPOSITORY / path).exists()]:
        pytest.fail(f"{', '.join(missing)} not built: run `make models`")
    target = tmp_path_factory.mktemp("repositories") / "model_repository"
    shutil.copytree(REPOSITORY, target)
    on_cpu(target / "efficientnet_lite0" / "config.pbtxt")
    return target


@pytest.fixture(scope="session")
def server(repository: Path) -> Iterator[RunningTritonServer]:
    """A tritonserver with the whole repository."""
    with running_tritonserver(repository) as server:
        yield server


@pytest.fixture
def client(server: RunningTritonServer) -> Iterator[InferenceServerClient]:
    with connected(server.http) as client:
        yield client


@pytest.fixture
def photograph() -> bytes:
    """The cat, as a JPEG file."""
    return (PHOTOGRAPHS / "chelsea.jpg").read_bytes()
