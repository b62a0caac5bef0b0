"""Token embeddings → sentence embeddings."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests.models.client import Arrays, infer, infer_together
from tests.triton import RunningTritonServer

MODEL = "mean_pool"
SIZE = 384


def given(lengths: list[int], tokens: int, seed: int = 0) -> Arrays:
    """Return random embeddings of texts of the given lengths, with large numbers where there is only padding."""
    embeddings = np.random.default_rng(seed).normal(size=(len(lengths), tokens, SIZE)).astype(np.float32)
    mask = (np.arange(tokens) < np.array(lengths)[:, None]).astype(np.int64)
    embeddings[mask == 0] = 1e6
    return {"token_embeddings": embeddings, "attention_mask": mask}


def expected(inputs: Arrays) -> NDArray[np.float64]:
    """Take the mean of each text's own tokens, one text after the other, in float64."""
    rows = []
    for embeddings, mask in zip(inputs["token_embeddings"], inputs["attention_mask"], strict=True):
        mean = embeddings[: mask.sum()].astype(np.float64).mean(axis=0)
        rows.append(mean / np.linalg.norm(mean))
    return np.array(rows)


@pytest.mark.parametrize(("lengths", "tokens"), [([2], 2), ([1, 5, 3], 5), ([256, 2], 256), ([3, 4], 9)])
def test_mean_without_padding(client: InferenceServerClient, lengths: list[int], tokens: int) -> None:
    inputs = given(lengths, tokens)
    pooled = infer(client, MODEL, inputs)["sentence_embedding"]
    np.testing.assert_allclose(pooled, expected(inputs), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(pooled, axis=1), 1, atol=1e-6)


def test_requests_of_different_length_at_once(server: RunningTritonServer) -> None:
    requests = [given([tokens, 1], tokens, seed=tokens) for tokens in (2, 3, 50, 2, 7, 3)]
    for inputs, answer in zip(requests, infer_together(server.http, MODEL, requests), strict=True):
        assert not isinstance(answer, str), answer
        np.testing.assert_allclose(answer["sentence_embedding"], expected(inputs), atol=1e-6)


def test_a_text_of_nothing_but_padding(client: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match=r"'attention_mask' masks every token of row\(s\) 1") as raised:
        infer(client, MODEL, given([2, 0], 2))
    assert raised.value.status() == "400"


def test_a_mask_of_another_length(client: InferenceServerClient) -> None:
    inputs = {**given([2], 2), "attention_mask": np.ones((1, 3), np.int64)}
    message = r"'attention_mask' has shape \[1, 3\], but 'token_embeddings' has \[1, 2, 384\]"
    with pytest.raises(InferenceServerException, match=message) as raised:
        infer(client, MODEL, inputs)
    assert raised.value.status() == "400"
