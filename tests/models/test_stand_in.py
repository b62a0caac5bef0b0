"""The stand-ins count CPUs as `serve` does."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from serve.machine.inspect import processors
from tests.triton import TRITON


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, found where Triton finds it."""
    monkeypatch.syspath_prepend(TRITON / "backends" / "python")
    return import_module("stand_in")


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu.max": "max 100000\n"},
        {"cpu.max": "100000 100000\n"},
        {"cpu.max": "50000 100000\n"},
        {"cpu.max": "99900000 100000\n"},
        {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
        {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"},
    ],
)
def test_cpus_are_counted_as_serve_counts_them(tmp_path: Path, stand_in: ModuleType, files: dict[str, str]) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert stand_in.cpus(tmp_path) == processors(tmp_path)
