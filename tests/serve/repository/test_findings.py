"""Findings, and the text that is made of them."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from serve.repository.findings import Finding, RepositoryError, errors, refusal, warnings

LINE = Finding("invalid-config", "error", "this is wrong", "correct it", PurePosixPath("a/config.pbtxt"), 3)
FILE = Finding("no-version", "error", "a has no version", "add one", PurePosixPath("a/config.pbtxt"))
ALL = Finding("no-model", "error", "it holds no model")
WARNING = Finding("circle", "warning", "harmless")


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (LINE, "a/config.pbtxt:3: this is wrong: correct it"),
        (FILE, "a/config.pbtxt: a has no version: add one"),
        (ALL, "it holds no model"),
    ],
)
def test_a_finding_is_one_line(finding: Finding, text: str) -> None:
    assert str(finding) == text


def test_the_only_error_is_in_the_first_line() -> None:
    assert refusal("the archive", [WARNING, ALL], "Found:\na/") == (
        "the archive can't be served: it holds no model\nFound:\na/"
    )


def test_several_errors_are_a_list() -> None:
    assert refusal("the archive", [ALL, WARNING, FILE], "") == (
        "the archive can't be served:\n- it holds no model\n- a/config.pbtxt: a has no version: add one"
    )


def test_an_error_carries_its_findings() -> None:
    error = RepositoryError("the archive", iter([ALL, WARNING]), "Found:\na/")
    assert (error.findings, error.tree) == ((ALL, WARNING), "Found:\na/")
    assert (errors(error.findings), warnings(error.findings)) == ((ALL,), (WARNING,))
    assert str(error) == refusal("the archive", [ALL], "Found:\na/")
