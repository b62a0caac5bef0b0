"""What the tests of more than one part share."""

from __future__ import annotations

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
    """Show the log of every `serve` that a failed test has used."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        servers = [value for value in item.funcargs.values() if isinstance(value, RunningServe)]
        report.sections += [(f"log of serve on port {serve.port}", serve.last_output()) for serve in servers]
    return report
