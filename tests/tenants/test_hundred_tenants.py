"""A hundred tenants, each with a sentence encoder of its own, behind one endpoint on one machine.

Their archives are those of examples/text_tenants. Tokenizing and pooling are shared models; the encoders' weights are
mapped from disk, so that a tenant costs the memory of a Python process instead of that of its weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.serve.client import Response
from tests.serve.multi_model.endpoint import Endpoint
from tests.serving import running_serve
from tests.tenants import reference
from tests.tenants.endpoint import SHARED, WEIGHTS, build_archive, embeddings, mappings, write_tenants

pytestmark = pytest.mark.timeout(1200)

NAMES = [f"tenant-{number:03}" for number in range(100)]
LARGE = NAMES[42]  # the one that gets a large batch, whose memory onnxruntime keeps
AT_ONCE = 8
CALL_SECONDS = 350  # how long SageMaker waits for a load
MIB = 1024 * 1024
TOLERANCE = 1e-5  # FP32 against a reference in float64

SENTENCES = (
    "A cat sits on the mat.",
    "A kitten is resting on a rug.",
    "The central bank raised interest rates again.",
    "Borrowing money has become more expensive.",
    "How do I reset my password?",
    "I can't log in to my account any more!",
    "Der schnelle braune Fuchs springt über den faulen Hund.",
    "O'Brien's café: 12,5% off (naïvely)…",
    "",
    "Photosynthesis turns light into chemical energy. " * 40,
)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An endpoint with the image's shared models, and the archives of a hundred tenants, none of them loaded."""
    base = tmp_path_factory.mktemp("hundred")
    archive = build_archive(base)
    write_tenants(archive, base / "models", NAMES)
    settings = {"SAGEMAKER_MULTI_MODEL": "true", "SAGEMAKER_TRITON_SHARED_MODELS_DIR": str(SHARED)}
    with running_serve(base, settings) as serve:
        yield Endpoint(serve, base / "models")


@pytest.fixture(scope="module")
def tenants(endpoint: Endpoint) -> Iterator[Endpoint]:
    """All tenants loaded; unloaded at the end, leaving nothing."""
    report("loaded", for_all(lambda name: endpoint.load(name, directory(endpoint, name), CALL_SECONDS)))
    yield endpoint
    report("unloaded", for_all(lambda name: endpoint.unload(name, CALL_SECONDS)))
    assert endpoint.names() == []
    assert endpoint.left() == {}


def directory(endpoint: Endpoint, name: str) -> Path:
    return endpoint.models_dir / name / "model"


def for_all(call: Callable[[str], Response]) -> float:
    """Call for each tenant, several at once, and return the seconds. Every answer is 200."""
    started = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = dict(zip(NAMES, threads.map(call, NAMES), strict=True))
    assert {name: answer for name, answer in answers.items() if answer.status != 200} == {}
    return time.monotonic() - started


def report(what: str, seconds: float) -> None:
    print(f"{len(NAMES)} tenants {what} in {seconds:.1f} s, {AT_ONCE} at once")


@cache
def expected(text: str) -> NDArray[np.float64]:
    return reference.embedding(text)


def test_they_are_listed_page_by_page(tenants: Endpoint) -> None:
    pages = list(tenants.pages(limit=30))
    assert [len(page["models"]) for page in pages] == [30, 30, 30, 10]
    listed = {model["modelName"]: model["modelUrl"] for page in pages for model in page["models"]}
    assert listed == {name: str(directory(tenants, name)) for name in NAMES}
    [page] = tenants.pages()
    assert [model["modelName"] for model in page["models"]] == NAMES


def test_each_gives_the_embeddings_of_the_reference(tenants: Endpoint) -> None:
    """A different sentence for each tenant, many in parallel."""
    texts = {name: f"{SENTENCES[number % 6]} This is number {number}." for number, name in enumerate(NAMES)}
    with ThreadPoolExecutor(AT_ONCE) as threads:
        given = dict(zip(NAMES, threads.map(lambda name: embeddings(tenants, name, texts[name]), NAMES), strict=True))
    for name, embedding in given.items():
        np.testing.assert_allclose(embedding, [expected(texts[name])], atol=TOLERANCE, err_msg=name)


def test_texts_of_every_kind_in_one_request(tenants: Endpoint) -> None:
    """Padding to the longest text, of 256 tokens, doesn't change the results."""
    given = embeddings(tenants, LARGE, *SENTENCES)
    np.testing.assert_allclose(given, [expected(text) for text in SENTENCES], atol=TOLERANCE)


def test_what_means_the_same_is_close(tenants: Endpoint) -> None:
    """The first six sentences are three pairs of similar meaning."""
    given = embeddings(tenants, NAMES[7], *SENTENCES[:6])
    similarity = given @ given.T
    np.fill_diagonal(similarity, -1)
    assert similarity.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]
    related = [similarity[row, row + 1] for row in (0, 2, 4)]
    unrelated = [similarity[a, b] for a in range(6) for b in range(6) if a // 2 != b // 2]
    assert min(related) > max(unrelated) + 0.2


def test_one_process_tokenizes_for_all_and_one_pools(tenants: Endpoint) -> None:
    embeddings(tenants, NAMES[0], "hello")
    models = sorted(name.rsplit("_", 2)[0] for name in tenants.stubs())
    assert models == sorted(["mean_pool", "text_tokenize", *(f"{name}--minilm_encoder" for name in NAMES)])


def test_the_weights_are_in_memory_once(tenants: Endpoint) -> None:
    """Every encoder maps the file and none has copies of its pages; a tenant takes far less than its weights."""
    for name in NAMES:  # so that each has read its weights
        embeddings(tenants, name, "hello")
    weights = (directory(tenants, NAMES[0]) / "minilm_encoder" / "1" / WEIGHTS).stat()
    encoders = {name: process for name, process in tenants.stubs().items() if "minilm_encoder" in name}
    for name, process in encoders.items():
        mapped = list(mappings(process, WEIGHTS))
        assert {mapping.inode for mapping in mapped} == {weights.st_ino}, name
        assert sum(mapping.resident for mapping in mapped) > weights.st_size / 3, name
        assert sum(mapping.copied for mapping in mapped) == 0, name
    memory = {name: process.memory_full_info() for name, process in encoders.items()}
    own = max(info.uss for name, info in memory.items() if not name.startswith(LARGE))
    together = sum(info.pss for info in memory.values())
    print(f"{len(memory)} encoders: {together / MIB:.0f} MiB (PSS), {own / MIB:.0f} MiB the largest one's own (USS)")
    assert own < weights.st_size / 2
    assert together < len(memory) * weights.st_size / 2
