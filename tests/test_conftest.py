"""tests/conftest.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.triton import ROOT

SKIPPED = """
import pytest

@pytest.mark.skipif(True, reason="nothing is here")
def test_marked():
    pass

def test_found_out():
    pytest.skip("nothing is there")
"""


@pytest.mark.parametrize(("ci", "outcome"), [("true", "1 failed, 1 error"), ("false", "2 skipped")])
def test_a_skip_is_a_failure_in_ci(tmp_path: Path, ci: str, outcome: str) -> None:
    file = tmp_path / "test_skipped.py"
    file.write_text(SKIPPED)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", str(file)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "CI": ci}, capture_output=True, text=True, timeout=60, check=False
    )
    assert outcome in done.stdout, done.stdout
    assert ("but this one was skipped: Skipped: nothing is here" in done.stdout) == (ci == "true")
    assert ("but this one was skipped: Skipped: nothing is there" in done.stdout) == (ci == "true")
