"""Converts token embeddings to sentence embeddings: the mean over the tokens of each text, scaled to length 1.

token_embeddings    FP32  [batch, tokens, size]
attention_mask      INT64 [batch, tokens]        1 for a token, 0 for padding
sentence_embedding  FP32  [batch, size]          the dot product of two is their cosine similarity
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray


class PoolingError(ValueError):
    """The caller's mask does not fit the embeddings."""


class TritonPythonModel:
    """Has no state: pooling has no weights."""

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Respond to each request separately: they differ in their number of tokens."""
        return [_respond(request) for request in requests]


def mean_pool(embeddings: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean of each row's embeddings where the mask is 1, scaled to length 1.

    Raises:
        PoolingError: the shapes differ, or a row of the mask has no token.
    """
    if mask.shape != embeddings.shape[:2]:
        raise PoolingError(
            f"'attention_mask' has shape {list(mask.shape)}, but 'token_embeddings' has {list(embeddings.shape)}"
        )
    if empty := np.flatnonzero(~mask.any(axis=1)).tolist():
        raise PoolingError(f"'attention_mask' masks every token of row(s) {', '.join(map(str, empty))}")
    # The sum has the direction of the mean; scaling to length 1 removes the difference.
    sums: NDArray[np.float32] = np.einsum("btd,bt->bd", embeddings, mask.astype(np.float32))
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    pooled: NDArray[np.float32] = sums / np.maximum(lengths, np.finfo(np.float32).tiny)
    return pooled


def _respond(request: Any) -> Any:
    embeddings, mask = (
        pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("token_embeddings", "attention_mask")
    )
    try:
        pooled = mean_pool(embeddings, mask)
    except PoolingError as error:
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
    return pb_utils.InferenceResponse([pb_utils.Tensor("sentence_embedding", pooled)])
