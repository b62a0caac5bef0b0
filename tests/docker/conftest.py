from __future__ import annotations

import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker import DockerClient

from byoc import __main__
from byoc.container.docker import DockerContainer, DockerOptions, running_container
from byoc.errors import ImageError
from byoc.image import builder, engine
from byoc.image.built_image import BuiltImage
from tests.triton import ROOT


@dataclass(frozen=True)
class Command:
    """The outcome of a run of `byoc`."""

    status: int
    stdout: str
    stderr: str


Byoc = Callable[..., Command]

SAMPLE = {"SAGEMAKER_BASE_DIR": "/opt/sample", "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "image_classification"}
PHOTOGRAPH = ROOT / "examples" / "photographs" / "chelsea.jpg"


@pytest.fixture(scope="session")
def client() -> Iterator[DockerClient]:
    """A Docker client. Without an engine the tests are skipped, or fail in CI."""
    try:
        with engine.connected() as found:
            yield found
    except ImageError as error:
        pytest.skip(f"{error} (.ci/engine starts one)")


@pytest.fixture(scope="session")
def cpu_base(client: DockerClient) -> str:
    return builder.build_cpu_base(ROOT)


@pytest.fixture(scope="session")
def built(cpu_base: str) -> BuiltImage:
    return builder.build(ROOT, cpu_base, "triton-byoc:test")


@pytest.fixture(scope="session")
def photograph() -> bytes:
    """A cat, as JPEG."""
    return PHOTOGRAPH.read_bytes()


@pytest.fixture(scope="session")
def classifier(client: DockerClient, built: BuiltImage) -> Iterator[DockerContainer]:
    """A container that serves the image's sample models, for tests that don't change it."""
    with running_container(client, built.tag, DockerOptions(SAMPLE)) as container:
        yield container


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A model.tar.gz made without `byoc`: one onnxruntime_onnx model, KIND_GPU, with files of macOS."""
    name = "efficientnet_lite0"
    path = tmp_path / "model.tar.gz"
    junk = tmp_path / "._model"
    junk.write_bytes(b"\0")
    with tarfile.open(path, "w:gz") as tar:
        for part in ("config.pbtxt", "1/model.onnx"):
            tar.add(ROOT / "model_repository" / name / part, f"{name}/{part}")
        tar.add(junk, f"{name}/1/._model.onnx")
        tar.add(junk, f"._{name}")
    return path


@pytest.fixture
def byoc(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Byoc:
    """Run the command line with the given arguments."""

    def run(*arguments: str) -> Command:
        monkeypatch.setattr(sys, "argv", ["byoc", *arguments])
        with pytest.raises(SystemExit) as ended:
            __main__.main()
        output = capsys.readouterr()
        return Command(int(ended.value.code or 0), output.out, output.err)

    return run
