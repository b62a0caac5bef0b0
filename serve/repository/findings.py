"""What is wrong with a model directory or an archive, as values. Text is made of them where somebody reads it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

__all__ = ["Code", "Finding", "RepositoryError", "Severity", "errors", "refusal", "warnings"]

Severity = Literal["error", "warning"]

Code = Literal[
    "absent-model",
    "circle",
    "config-at-root",
    "file-outside",
    "invalid-config",
    "invalid-memory",
    "link-outside",
    "no-default-model",
    "no-entry",
    "no-model",
    "no-version",
    "python-without-code",
    "step-never-runs",
    "tensor-written-twice",
    "unknown-default-model",
    "unknown-load-model",
    "version-out-of-range",
]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        code: which rule found it.
        severity: `error`: it can't be served. `warning`: it can, at least without what is wrong.
        message: what is wrong, naming the key and its value; no full stop at its end.
        remedy: what to do about it, likewise.
        path: where, in the model directory or the archive; None for all of it.
        line: the line of that file, from 1.
    """

    code: Code
    severity: Severity
    message: str
    remedy: str = ""
    path: PurePosixPath | None = None
    line: int | None = None

    def __str__(self) -> str:
        """Return it as one line."""
        place = "" if self.path is None else f"{self.path}: " if self.line is None else f"{self.path}:{self.line}: "
        return f"{place}{self.message}{f': {self.remedy}' if self.remedy else ''}"


class RepositoryError(ValueError):
    """A model directory or an archive can't be served.

    Attributes:
        findings: what is wrong, errors and warnings.
        tree: what was found, drawn, and what was expected where that helps; may be empty.
    """

    def __init__(self, subject: str, findings: Iterable[Finding], tree: str = "") -> None:
        """Say it of a `subject`, such as `the archive`."""
        self.findings = tuple(findings)
        self.tree = tree
        super().__init__(refusal(subject, self.findings, tree))


def refusal(subject: str, findings: Iterable[Finding], tree: str) -> str:
    """Return why something can't be served, in words: every error, then the tree."""
    found = [str(finding) for finding in errors(findings)]
    reasons = f" {found[0]}" if len(found) == 1 else "".join(f"\n- {reason}" for reason in found)
    return "\n".join(filter(None, [f"{subject} can't be served:{reasons}", tree]))


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the errors among findings."""
    return tuple(finding for finding in findings if finding.severity == "error")


def warnings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the warnings among findings."""
    return tuple(finding for finding in findings if finding.severity == "warning")
