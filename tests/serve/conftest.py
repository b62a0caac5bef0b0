"""Running servers, one of each kind for the whole session, and repositories of small models."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serve.multi_model.archives import Gate
from tests.serving import RunningServe, running_serve
from tests.triton import ROOT

MODELS = Path(__file__).parent / "models"

BaseDir = Callable[..., Path]


def make_base_dir(directory: Path, *models: str) -> Path:
    """Fill `directory/model` with the named models of `models/`, laid out as Triton wants them."""
    for model in models:
        target = directory / "model" / model
        (target / "1").mkdir(parents=True)
        shutil.copy(MODELS / f"{model}.pbtxt", target / "config.pbtxt")
        shutil.copy(MODELS / f"{model}.py", target / "1" / "model.py")
    return directory


@pytest.fixture
def base_dir(tmp_path: Path) -> BaseDir:
    """Returns a function: model names → a base directory that holds them."""
    return lambda *models: make_base_dir(tmp_path, *models)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate, which is opened at the end of the test."""
    (tmp_path / "gate").mkdir()
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.open()


@pytest.fixture(scope="session")
def classifier_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base directory with the real models."""
    directory = tmp_path_factory.mktemp("classifier")
    (directory / "model").symlink_to(ROOT / "model_repository", target_is_directory=True)
    return directory


CLASSIFIER = {"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "image_classification"}


@pytest.fixture(scope="session")
def classifier_gateway(classifier_dir: Path) -> Iterator[RunningServe]:
    with running_serve(classifier_dir, CLASSIFIER) as serve:
        yield serve


@pytest.fixture(scope="session")
def classifier_app(classifier_dir: Path) -> Iterator[RunningServe]:
    with running_serve(classifier_dir, CLASSIFIER, haproxy=False) as serve:
        yield serve


@pytest.fixture(scope="session")
def classifier_native(classifier_dir: Path) -> Iterator[RunningServe]:
    with running_serve(classifier_dir, {**CLASSIFIER, "SAGEMAKER_TRITON_FRONTEND": "native"}) as serve:
        yield serve


@pytest.fixture(scope="session", params=["gateway", "app"])
def classifier(request: pytest.FixtureRequest) -> RunningServe:
    """The image classifier behind HAProxy, and behind the app alone."""
    serve: RunningServe = request.getfixturevalue(f"classifier_{request.param}")
    return serve


@pytest.fixture(scope="session", params=["gateway", "app"])
def probe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServe]:
    """The model `probe`, behind HAProxy and behind the app alone."""
    with running_serve(
        make_base_dir(tmp_path_factory.mktemp("probe"), "probe"), haproxy=request.param == "gateway"
    ) as serve:
        yield serve
