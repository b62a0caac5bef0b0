"""Tests that need a server are found, and those that share one are in one group."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.triton import ROOT

FILE = """
from contextlib import contextmanager

import pytest

from tests.serving import running_serve

@contextmanager
def endpoint(directory):
    with running_serve(directory) as serve:
        yield serve

@pytest.fixture(scope="module")
def of_the_module(tmp_path_factory):
    with endpoint(tmp_path_factory.mktemp("model")) as serve:
        yield serve

@pytest.fixture(params=["gateway", "app"])
def chosen(request):
    return request.getfixturevalue(f"served_{request.param}")

@pytest.fixture(scope="session")
def served_native(tmp_path_factory):
    with endpoint(tmp_path_factory.mktemp("model")) as serve:
        yield serve

def test_none(tmp_path):
    pass

def run(directory, start=endpoint):
    with start(directory):
        pass

def test_itself(tmp_path):
    run(tmp_path)

def test_of_the_module(of_the_module):
    pass

def test_of_the_session(served_native):
    pass

def test_chosen(chosen):
    pass
"""

REPORT = """
def pytest_collection_modifyitems(items):
    for item in items:
        groups = [mark.args[0] for mark in item.iter_markers("xdist_group")]
        print(item.name, *(["server"] if item.get_closest_marker("server") else ["-"]), *groups)
"""


SHARED = """
import pytest

@pytest.fixture(scope="module")
def shared():
    pass

@pytest.mark.parametrize("number", range(4))
def test_shared(shared, number):
    pass
"""


def run_pytest(directory: Path, *arguments: str) -> list[str]:
    """Run pytest as `make test` does on the tests of a directory; return the lines that it prints."""
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", f"--rootdir={ROOT}"]
    done = subprocess.run(
        [*command, *arguments, str(directory)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def report(tmp_path: Path) -> dict[str, str]:
    """What is found out about each test of `FILE`: whether it needs a server, and its group."""
    (tmp_path / "test_made_up.py").write_text(FILE)
    (tmp_path / "conftest.py").write_text(REPORT)
    printed = run_pytest(tmp_path, "--collect-only", "-q")
    lines = [line for line in printed if line.startswith("test_") and "::" not in line]
    return {name: rest for name, _, rest in (line.partition(" ") for line in lines)}


def test_made_up(report: dict[str, str]) -> None:
    file = report["test_of_the_module"].removeprefix("server ")
    assert file.endswith("/test_made_up.py")
    assert report == {
        "test_none": "-",
        "test_itself": "server",
        "test_of_the_module": f"server {file}",
        "test_of_the_session": "server . native",
        "test_chosen[gateway]": "server . gateway",
        "test_chosen[app]": "server . app",
    }


def test_a_group_runs_in_one_worker(tmp_path: Path) -> None:
    (tmp_path / "test_made_up.py").write_text(SHARED)
    lines = run_pytest(tmp_path, "-v", "-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder")
    workers = [line.split("]")[0] for line in lines if " PASSED " in line]
    assert (len(workers), len(set(workers))) == (4, 1)
