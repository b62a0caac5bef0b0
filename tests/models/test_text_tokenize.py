"""Text → token ids."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests.models.client import Arrays, infer, infer_together, load_errors
from tests.models.conftest import REPOSITORY
from tests.tenants import reference
from tests.triton import RunningTritonServer

MODEL = "text_tokenize"
TEXTS = [
    "A cat sits on the mat.",
    "Don't PANIC: 12,5% of Déjà-vu_is «free»!",
    "antidisestablishmentarianism",
    "",
    "   \n",
    "☃ snow",
    "x" * 101,
    "naïve café, e\u0301clair",
    "word " * 1000,
]


def text(*texts: str | bytes) -> Arrays:
    """Return texts as the model's input: BYTES [batch, 1]."""
    encoded = [each.encode() if isinstance(each, str) else each for each in texts]
    return {"text": np.array(encoded, dtype=object).reshape(-1, 1)}


@pytest.mark.parametrize("sentence", TEXTS)
def test_ids_are_those_of_wordpiece(client: InferenceServerClient, sentence: str) -> None:
    outputs = infer(client, MODEL, text(sentence))
    expected = reference.token_ids(sentence)
    assert outputs["input_ids"].tolist() == [expected]
    assert outputs["attention_mask"].tolist() == [[1] * len(expected)]
    assert len(expected) <= reference.MAX_LENGTH


def test_known_ids(client: InferenceServerClient) -> None:
    """[CLS] hello world [SEP], as every page about BERT has it."""
    assert infer(client, MODEL, text("Hello world"))["input_ids"].tolist() == [[101, 7592, 2088, 102]]


def test_a_request_is_padded_to_its_longest_text(client: InferenceServerClient) -> None:
    outputs = infer(client, MODEL, text(*TEXTS))
    rows = [reference.token_ids(each) for each in TEXTS]
    assert outputs["input_ids"].shape == (len(TEXTS), reference.MAX_LENGTH)
    for ids, mask, row in zip(outputs["input_ids"].tolist(), outputs["attention_mask"].tolist(), rows, strict=True):
        padding = [0] * (reference.MAX_LENGTH - len(row))
        assert ids == row + padding
        assert mask == [1] * len(row) + padding


def test_requests_of_one_batch_do_not_pad_each_other(server: RunningTritonServer) -> None:
    answers = infer_together(server.http, MODEL, [text("short"), text("word " * 50), text("a", "b c")] * 4)
    shapes = [answer if isinstance(answer, str) else answer["input_ids"].shape for answer in answers]
    assert shapes == [(1, 3), (1, 52), (2, 4)] * 4


def test_bytes_that_are_no_text(client: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match=r"input 'text' is not UTF-8: .* position 1") as raised:
        infer(client, MODEL, text(b"a\xff"))
    assert raised.value.status() == "400"


def test_they_are_no_fault_of_others_in_the_batch(server: RunningTritonServer) -> None:
    answers = infer_together(server.http, MODEL, [text("good"), text("good", b"\xff")] * 4)
    found = ["UTF-8" in answer if isinstance(answer, str) else answer["input_ids"].shape for answer in answers]
    assert found == [(1, 3), True] * 4


def test_mistakes_in_the_model_are_named(tmp_path: Path) -> None:
    """Each variant refuses to load and says what to do."""
    for name in ("without", "no_tokenizer", "no_number", "too_short"):
        shutil.copytree(REPOSITORY / MODEL, tmp_path / name)
    (tmp_path / "without" / "tokenizer.json").unlink()
    (tmp_path / "no_tokenizer" / "tokenizer.json").write_text("{}")
    set_max_length(tmp_path / "no_number", "many")
    set_max_length(tmp_path / "too_short", "2")
    errors = load_errors(tmp_path)
    assert "tokenizer.json does not exist: put the tokenizer of your encoder there" in errors["without"]
    assert "tokenizer.json is not a tokenizer" in errors["no_tokenizer"]
    assert "parameter 'max_length' is 'many': expected a whole number, 1 or more" in errors["no_number"]
    assert "parameter 'max_length' is 2: expected more than the 2 special tokens" in errors["too_short"]


def set_max_length(directory: Path, length: str) -> None:
    config = directory / "config.pbtxt"
    assert '"256"' in config.read_text()
    config.write_text(config.read_text().replace('"256"', f'"{length}"'))
