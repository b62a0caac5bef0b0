"""The code blocks of a page, taken out to be run."""

from __future__ import annotations

import re

from tests.triton import ROOT

__all__ = ["LOCAL", "examples", "page", "printed_labels", "promised_labels", "section"]

LOCAL = "http://localhost:8080"  # where the pages expect `make run` to listen


def page(path: str) -> str:
    """Return the text of a page."""
    return (ROOT / path).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Return what stands below a heading of the second level."""
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def examples(text: str, language: str) -> dict[str, str]:
    """Return code blocks: what the paragraph before each starts with in bold → code."""
    found = re.findall(r"\*\*(.*?)\*\*(?:(?!```).)*?```(\w+)\n(.*?)```", text, flags=re.DOTALL)
    return {title.strip("`. "): code for title, tongue, code in found if tongue == language}


def printed_labels(output: str) -> list[str]:
    """Return the labels that an example has printed. Probabilities may differ a little among processors."""
    return [line.rpartition("  ")[2] for line in output.splitlines()]


def promised_labels() -> list[str]:
    """Return the labels that README.md says `make run` prints."""
    return printed_labels(page("README.md").split("chelsea.jpg:\n")[1].split("\n```")[0])
