"""Converts text to the token ids that a transformer encoder takes.

    text            BYTES [batch, 1]       UTF-8
    input_ids       INT64 [batch, tokens]  padded to the longest text of the request
    attention_mask  INT64 [batch, tokens]  1 for a token, 0 for padding

The tokenizer is `tokenizer.json` in the model's directory, as the Hugging Face library `tokenizers` writes it. Texts
with more tokens than the configuration's parameter `max_length` are truncated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

DEFAULT_MAX_LENGTH = 256
PAD_TOKEN = "[PAD]"  # noqa: S105 (a token of text)


class TokenizerError(RuntimeError):
    """The tokenizer is missing or invalid, or the model's configuration is wrong."""


class TextError(ValueError):
    """The caller's bytes are not text."""


class TritonPythonModel:
    """Holds the tokenizer."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the tokenizer."""
        parameters = json.loads(args["model_config"])["parameters"]
        self._tokenizer = load_tokenizer(Path(args["model_repository"]), max_length(parameters))
        self._padding = self._tokenizer.token_to_id(PAD_TOKEN) or 0

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Tokenize the texts of all requests in one batch, and pad each request separately.

        Padding all of them to the longest text would make other callers pay for it.
        """
        texts = [_texts(request) for request in requests]
        valid = [each for each in texts if not isinstance(each, TextError)]
        encodings = self._tokenizer.encode_batch([text for each in valid for text in each])
        ends = accumulate(map(len, valid), initial=0)
        responses = iter([self._response(encodings[start:end]) for start, end in pairwise(ends)])
        return [_failure(each) if isinstance(each, TextError) else next(responses) for each in texts]

    def _response(self, encodings: Sequence[Any]) -> Any:
        ids, mask = pad([encoding.ids for encoding in encodings], self._padding)
        return pb_utils.InferenceResponse([pb_utils.Tensor("input_ids", ids), pb_utils.Tensor("attention_mask", mask)])


def load_tokenizer(directory: Path, length: int) -> Any:
    """Return the tokenizer of a model directory; it truncates to `length` tokens and does not pad.

    Raises:
        TokenizerError: `tokenizers` is not installed, `tokenizer.json` is missing or can't be read, or `length` is too
            small for text.
    """
    try:
        from tokenizers import Tokenizer  # here, so that a base image without it gets a useful message
    except ImportError as error:
        raise TokenizerError(
            f"{error}: install it for the Python that runs Triton's models (pip install tokenizers)"
        ) from error
    path = directory / "tokenizer.json"
    if not path.is_file():
        raise TokenizerError(f"{path} does not exist: put the tokenizer of your encoder there")
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises nothing more specific
        raise TokenizerError(f"{path} is not a tokenizer: {error}") from error
    special = tokenizer.num_special_tokens_to_add(is_pair=False)
    if length <= special:
        raise TokenizerError(f"parameter 'max_length' is {length}: expected more than the {special} special tokens")
    tokenizer.enable_truncation(length)
    tokenizer.no_padding()
    return tokenizer


def max_length(parameters: Mapping[str, Mapping[str, str]]) -> int:
    """Return the maximum number of tokens of a text, including special ones.

    Raises:
        TokenizerError: the parameter is not a positive whole number.
    """
    text = parameters.get("max_length", {"string_value": str(DEFAULT_MAX_LENGTH)})["string_value"]
    if not text.isascii() or not text.isdecimal() or int(text) == 0:
        raise TokenizerError(f"parameter 'max_length' is {text!r}: expected a whole number, 1 or more")
    return int(text)


def pad(rows: Sequence[Sequence[int]], padding: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of different lengths as one matrix, and a mask that is 1 for tokens and 0 for padding."""
    lengths = np.array([len(row) for row in rows])
    present = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(present.shape, padding, np.int64)
    ids[present] = np.concatenate([np.asarray(row, np.int64) for row in rows])
    return ids, present.astype(np.int64)


def _texts(request: Any) -> list[str] | TextError:
    elements = pb_utils.get_input_tensor_by_name(request, "text").as_numpy().flat
    try:
        return [element.decode() for element in elements]
    except UnicodeDecodeError as error:
        return TextError(f"input 'text' is not UTF-8: {error}")


def _failure(error: TextError) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
