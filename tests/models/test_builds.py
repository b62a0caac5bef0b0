"""What `make models` makes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models.conftest import REPOSITORY
from tests.triton import ROOT

MODELS = sorted(path.parent.name for path in REPOSITORY.glob("*/build.py"))


@pytest.mark.parametrize("name", MODELS)
def test_a_build_elsewhere_gives_the_same_files(tmp_path: Path, name: str) -> None:
    """Built files contain no times and no paths, and are up to date."""
    shutil.copytree(ROOT / "python_backend_models", tmp_path / "python_backend_models")
    target = tmp_path / "model_repository" / name
    built = shutil.ignore_patterns("1", "labels.txt", "tokenizer.json", "__pycache__")
    shutil.copytree(REPOSITORY / name, target, ignore=built)
    done = subprocess.run([sys.executable, target / "build.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")  # no warnings either
    assert name in done.stdout
    assert contents(target) == contents(REPOSITORY / name)


def contents(directory: Path) -> dict[str, bytes]:
    """Every file, and the version directory, by its path."""
    files = {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else b""
        for path in directory.rglob("*")
        if "__pycache__" not in path.parts
    }
    assert "1" in files
    return files
