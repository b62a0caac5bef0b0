"""Fixtures and hooks for all tests."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from tests.grouping import group_of, length_of, starts_server
from tests.serving import RunningServe
from tests.triton import ROOT


@pytest.fixture(scope="session")
def cat() -> bytes:
    """A photograph of a cat, as a JPEG file."""
    return (ROOT / "examples" / "photographs" / "chelsea.jpg").read_bytes()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Mark what needs a server, group what shares one, and let the longest start first (tests/grouping.py).

    A wrapper, as pytest-xdist reads the groups before any other hook.
    """
    tests = [item for item in items if isinstance(item, pytest.Function)]
    for test in tests:
        if group := group_of(test):
            test.add_marker(pytest.mark.xdist_group(group))
        if starts_server(test):
            test.add_marker("server")
    tests.sort(key=length_of)
    items[:] = tests
    yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI, fail tests that would be skipped; show the log of every `serve` that a failed test used."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"CI runs every test, but this one was skipped: {reason}"
    if report.failed and isinstance(item, pytest.Function):
        servers = [value for value in item.funcargs.values() if isinstance(value, RunningServe)]
        report.sections += [(f"log of serve on port {serve.port}", serve.last_output()) for serve in servers]
    return report
