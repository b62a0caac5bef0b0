"""What the Makefile shows while it works."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.triton import ROOT


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "log"])
def test_downloads_have_bars_on_a_terminal_and_no_lines_in_a_log(tmp_path: Path, terminal: bool) -> None:
    """Uses a python that records pip's arguments: pip draws no progress bar with --quiet."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$@" >"$0.arguments"\n')
    python.chmod(0o755)
    command = ["make", "--eval", "probe: ; @$(call PIP_INSTALL,$(VENV)) six", f"VENV={tmp_path}", "probe"]
    main, other = pty.openpty()
    try:
        output = other if terminal else subprocess.DEVNULL
        subprocess.run(command, cwd=ROOT, stdout=output, check=True, timeout=60)
    finally:
        os.close(main)
        os.close(other)
    arguments = python.with_suffix(".arguments").read_text().split()
    assert arguments == ["-m", "pip", "install", *([] if terminal else ["--quiet"]), "--progress-bar", "on", "six"]
