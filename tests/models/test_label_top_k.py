"""Logits → labels and probabilities."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.http import InferenceServerClient

from tests.models.client import connected, infer
from tests.models.conftest import REPOSITORY
from tests.triton import RunningTritonServer

MODEL = "label_top_k"
HEADER = "X-Amzn-SageMaker-Custom-Attributes"


def logits(batch: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(scale=3, size=(batch, 1000)).astype(np.float32)


def expected(row: NDArray[np.float32], k: int) -> tuple[list[str], NDArray[np.float64]]:
    """Sort everything, in float64."""
    names = (REPOSITORY / MODEL / "labels.txt").read_text(encoding="utf-8").splitlines()
    probabilities = np.exp(row.astype(np.float64)) / np.exp(row.astype(np.float64)).sum()
    order = sorted(range(len(row)), key=lambda index: -row[index])[:k]
    return [names[index] for index in order], probabilities[order]


@pytest.mark.parametrize("k", [1, 5, 999, 1000])
def test_the_k_most_probable_in_order(client: InferenceServerClient, k: int) -> None:
    given = logits(3)
    outputs = infer(client, MODEL, {"logits": given}, parameters={"k": k})
    for row, labels, probabilities in zip(given, outputs["labels"], outputs["probabilities"], strict=True):
        names, values = expected(row, k)
        assert [label.decode() for label in labels] == names
        np.testing.assert_allclose(probabilities, values, rtol=1e-5)


def test_very_large_logits_do_not_overflow(client: InferenceServerClient) -> None:
    given = np.zeros((1, 1000), np.float32)
    given[0, 281] = 1e4
    outputs = infer(client, MODEL, {"logits": given})
    assert (outputs["labels"][0][0], outputs["probabilities"][0][0]) == (b"tabby, tabby cat", 1)


@pytest.mark.parametrize(
    ("parameters", "headers", "k"),
    [
        ({}, {}, 5),
        ({"k": "7"}, {}, 7),
        ({}, {HEADER: "k=3"}, 3),
        ({}, {HEADER.lower(): " other=1 ,K = 4,note"}, 4),
        ({}, {HEADER: "topk=3"}, 5),
        ({"k": 2}, {HEADER: "k=3"}, 2),
    ],
)
def test_where_k_comes_from(
    client: InferenceServerClient, parameters: dict[str, object], headers: dict[str, str], k: int
) -> None:
    outputs = infer(client, MODEL, {"logits": logits(1)}, parameters=parameters, headers=headers)
    assert outputs["labels"].shape == outputs["probabilities"].shape == (1, k)


def test_requests_of_one_batch_have_their_own_k(server: RunningTritonServer) -> None:
    ks = [1, 10, 1000, 5, 3, 7]

    def one(k: int) -> tuple[int, ...]:
        with connected(server.http) as client:
            shape: tuple[int, ...] = infer(client, MODEL, {"logits": logits(1, k)}, parameters={"k": k})["labels"].shape
            return shape

    with ThreadPoolExecutor(len(ks)) as pool:
        assert list(pool.map(one, ks)) == [(1, k) for k in ks]


def test_there_is_one_label_for_each_class() -> None:
    lines = (REPOSITORY / MODEL / "labels.txt").read_text(encoding="utf-8").splitlines()
    assert (len(lines), lines[0], lines[281], lines[999].split(",")[0]) == (
        1000,
        "tench, Tinca tinca",
        "tabby, tabby cat",
        "toilet tissue",
    )
