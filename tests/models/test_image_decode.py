"""The DALI pipeline against Pillow, and the stand-in of its backend."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from nvidia.dali import Pipeline, fn, types
from PIL import Image
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests.models.client import connected, infer, infer_together, load_errors
from tests.models.conftest import PHOTOGRAPHS
from tests.triton import running_tritonserver

MODEL = "image_decode"


def row(file: bytes) -> dict[str, NDArray[np.uint8]]:
    return {"encoded": np.frombuffer(file, np.uint8)[None]}


def with_pillow(file: bytes) -> NDArray[np.float32]:
    """[3, 224, 224]: shorter side to 256, the middle, normalised."""
    picture = Image.open(io.BytesIO(file)).convert("RGB")
    scale = 256 / min(picture.size)
    width, height = (round(side * scale) for side in picture.size)
    scaled = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - 223) // 2, (height - 223) // 2  # an odd pixel is cut off on the left
    pixels = np.asarray(scaled.crop((left, top, left + 224, top + 224)), np.float32)
    return ((pixels - 127) / 128).transpose(2, 0, 1)


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket"])
def test_pixels_are_those_of_another_decoder(client: InferenceServerClient, name: str) -> None:
    file = (PHOTOGRAPHS / f"{name}.jpg").read_bytes()
    pixels = infer(client, MODEL, row(file))["image"][0]
    difference = np.abs(pixels - with_pillow(file))
    assert pixels.shape == (3, 224, 224)
    assert difference.mean() < 0.02  # 2.5 of 255: half a pixel of shift would be four times as much


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_a_png_of_any_kind_becomes_rgb(client: InferenceServerClient, photograph: bytes, mode: str) -> None:
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(photograph)).convert(mode)
    picture.save(buffer, "PNG")
    pixels = infer(client, MODEL, row(buffer.getvalue()))["image"][0]
    assert np.abs(pixels - with_pillow(buffer.getvalue())).mean() < 0.02


def test_zeros_after_the_file_change_nothing(client: InferenceServerClient, photograph: bytes) -> None:
    padded = infer(client, MODEL, row(photograph + bytes(5000)))["image"]
    np.testing.assert_array_equal(padded, infer(client, MODEL, row(photograph))["image"])


@pytest.fixture
def waiting_repository(repository: Path, tmp_path: Path) -> Path:
    """The model alone; its batcher waits, so that requests sent together are one batch."""
    target = tmp_path / "repository"
    shutil.copytree(repository / MODEL, target / MODEL)
    config = target / MODEL / "config.pbtxt"
    waiting = "dynamic_batching { preferred_batch_size: [ 4 ] max_queue_delay_microseconds: 2000000 }"
    config.write_text(config.read_text().replace("dynamic_batching {}", waiting))
    return target


def test_a_broken_image_in_a_batch(waiting_repository: Path) -> None:
    names = ("chelsea", "coffee", "rocket", "coffee")
    files = [(PHOTOGRAPHS / f"{name}.jpg").read_bytes() for name in names]
    files[1] = files[1][: len(files[1]) // 3]
    with running_tritonserver(waiting_repository) as server:
        answers = infer_together(server.http, MODEL, [row(file) for file in files])
        with connected(server.http) as client:
            statistics = client.get_inference_statistics(MODEL)["model_stats"][0]
            again = infer(client, MODEL, row(files[0]))["image"]
    assert [batch["batch_size"] for batch in statistics["batch_stats"]] == [4]
    failed = [answer for answer in answers if isinstance(answer, str)]
    assert len(failed) == 1
    assert re.search(r"^\[400\] .*fn\.decoders\.image: .*damaged, incomplete", failed[0])
    for file, answer in zip(files, answers, strict=True):
        if not isinstance(answer, str):
            assert np.abs(answer["image"][0] - with_pillow(file)).mean() < 0.02
    assert np.abs(again[0] - with_pillow(files[0])).mean() < 0.02


def edited(repository: Path, tmp_path: Path, changes: dict[str, str]) -> Path:
    """A copy of the model with another configuration."""
    target = tmp_path / "repository"
    shutil.copytree(repository / MODEL, target / MODEL)
    config = target / MODEL / "config.pbtxt"
    text = config.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    config.write_text(text)
    return target


def test_a_configuration_without_batch_size_is_completed(repository: Path, tmp_path: Path) -> None:
    changes = {"max_batch_size: 8\n": "", "dynamic_batching {}": ""}
    with running_tritonserver(edited(repository, tmp_path, changes)) as server, connected(server.http) as client:
        config: dict[str, Any] = client.get_model_config(MODEL)
    assert config["max_batch_size"] == 8
    assert "dynamic_batching" in config


def test_what_cannot_be_served_says_why(repository: Path, tmp_path: Path) -> None:
    target = edited(repository, tmp_path, {"TYPE_UINT8": "TYPE_STRING"})
    shutil.copytree(repository / MODEL, target / "not_dali")
    (target / "not_dali" / "1" / "model.dali").write_bytes(b"nonsense")
    shutil.copytree(repository / MODEL, target / "no_file")
    (target / "no_file" / "1" / "model.dali").rename(target / "no_file" / "1" / "other.dali")
    shutil.copytree(repository / MODEL, target / "optional")
    config = target / "optional" / "config.pbtxt"
    config.write_text(config.read_text().replace("dims: [ -1 ]", "dims: [ -1 ] optional: true"))
    errors = load_errors(target)
    assert "input 'encoded' is optional, but this backend requires all inputs" in errors["optional"]
    assert "input 'encoded' is TYPE_STRING, which DALI does not support" in errors[MODEL]
    assert re.search(r"cannot load .*model\.dali on a CPU", errors["not_dali"])
    assert "model.dali does not exist (the directory holds other.dali)" in errors["no_file"]


def test_what_fails_after_the_decoder_is_not_the_callers_error(
    repository: Path, tmp_path: Path, photograph: bytes
) -> None:
    """A pipeline whose crop is larger than the image."""
    target = edited(repository, tmp_path, {"dims: [ 3, 224, 224 ]": "dims: [ -1, -1, 3 ]"})
    with Pipeline(batch_size=8, num_threads=1, device_id=None) as pipeline:
        encoded = fn.external_source(name="encoded", dtype=types.UINT8, ndim=1)
        pipeline.set_outputs(fn.crop(fn.decoders.image(encoded, device="cpu"), crop=(9000, 9000)))
    (target / MODEL / "1" / "model.dali").write_bytes(pipeline.serialize())
    with running_tritonserver(target) as server, connected(server.http) as client:
        for _ in range(2):
            with pytest.raises(InferenceServerException, match=r"DALI: fn\.crop") as error:
                infer(client, MODEL, row(photograph))
            assert error.value.status() == "500"
