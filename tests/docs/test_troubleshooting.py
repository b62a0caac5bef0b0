"""docs/troubleshooting.md quotes messages that the code really has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain

import pytest

from tests.docs.examples import page
from tests.triton import ROOT

PAGE = page("docs/troubleshooting.md")
SOURCES = ("serve", "byoc", "python_backend_models", "docker")
VARIES = "…"
ENOUGH = 12  # fewer letters than these could be found anywhere


def quoted() -> list[str]:
    """Return the messages that the page says are ours: each line of a `log` block."""
    blocks = re.findall(r"^```log\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@cache
def messages() -> tuple[str, ...]:
    """Return the strings of the code, with `…` in place of what is formatted into them."""
    files = chain.from_iterable((ROOT / source).rglob("*.py") for source in SOURCES)
    return tuple(chain.from_iterable(strings(ast.parse(file.read_text(encoding="utf-8"))) for file in files))


def strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else VARIES for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%[-.0-9]*[dfrs]", VARIES, node.value)


def exists(message: str) -> bool:
    """Tell whether the code has a string with these words, in this order, where `…` stands for anything.

    A message and its remedy, after a colon, may be two strings.
    """
    return _is_one_string(message) or all(len(part) >= ENOUGH and _is_one_string(part) for part in message.split(": "))


def _is_one_string(words: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in words.split(VARIES))
    return any(re.search(pattern, string, flags=re.DOTALL) for string in messages())


def test_there_are_messages() -> None:
    assert len(quoted()) > 25


@pytest.mark.parametrize("message", quoted())
def test_a_message_that_is_quoted_exists(message: str) -> None:
    assert sum(map(len, message.split(VARIES))) >= ENOUGH
    assert exists(message)


def test_a_message_that_the_code_does_not_have_is_noticed() -> None:
    assert exists("it holds … models (…): set SAGEMAKER_TRITON_DEFAULT_MODEL_NAME")
    assert not exists("it holds … cats (…): set SAGEMAKER_TRITON_DEFAULT_MODEL_NAME")
