"""What the tests of more than one part share."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from tests.serving import RunningServe
from tests.triton import ROOT


@pytest.fixture(scope="session")
def cat() -> bytes:
    """A photograph of a cat, as a JPEG file."""
    return (ROOT / "examples" / "photographs" / "chelsea.jpg").read_bytes()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what CI would skip, where nothing may be missing; show the log of every `serve` that a failed test used."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"CI runs every test, but this one was skipped: {reason}"
    if report.failed and isinstance(item, pytest.Function):
        servers = [value for value in item.funcargs.values() if isinstance(value, RunningServe)]
        report.sections += [(f"log of serve on port {serve.port}", serve.last_output()) for serve in servers]
    return report
