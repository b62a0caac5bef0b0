"""Problems of a model directory or an archive, as values. They become text where they are shown."""

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
    """A problem.

    Attributes:
        code: the kind of problem.
        severity: `error`: it prevents serving. `warning`: it does not.
        message: what is wrong, with the key and its value; without a full stop.
        remedy: what to do about it; without a full stop.
        path: the file, relative to the model directory or archive; None for the whole directory.
        line: the line in that file, from 1.
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
        findings: all findings, errors and warnings.
        tree: the directory tree that was found, and sometimes the expected one; may be empty.
    """

    def __init__(self, subject: str, findings: Iterable[Finding], tree: str = "") -> None:
        """Take what can't be served as `subject`, such as `the archive`."""
        self.findings = tuple(findings)
        self.tree = tree
        super().__init__(refusal(subject, self.findings, tree))


def refusal(subject: str, findings: Iterable[Finding], tree: str) -> str:
    """Return the text of a refusal: every error, then the tree."""
    found = [str(finding) for finding in errors(findings)]
    reasons = f" {found[0]}" if len(found) == 1 else "".join(f"\n- {reason}" for reason in found)
    return "\n".join(filter(None, [f"{subject} can't be served:{reasons}", tree]))


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the errors among findings."""
    return tuple(finding for finding in findings if finding.severity == "error")


def warnings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the warnings among findings."""
    return tuple(finding for finding in findings if finding.severity == "warning")
