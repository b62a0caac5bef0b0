"""Free memory of a container, from the files of control groups version 1 and 2."""

from __future__ import annotations

from pathlib import Path

import psutil
import pynvml
import pytest

from serve.machine.resources import Resources

MIB = 1024**2
V1 = {
    "memory/memory.limit_in_bytes": f"{1000 * MIB}\n",
    "memory/memory.usage_in_bytes": f"{700 * MIB}\n",
    "memory/memory.stat": f"cache {300 * MIB}\ninactive_file 1\ntotal_inactive_file {200 * MIB}\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
}
V2 = {
    "memory.max": f"{1000 * MIB}\n",
    "memory.current": f"{700 * MIB}\n",
    "memory.stat": f"anon {400 * MIB}\nfile {300 * MIB}\ninactive_file {200 * MIB}\n",
    "memory.events": "low 0\nhigh 0\nmax 12\noom 4\noom_kill 3\noom_group_kill 0\n",
}


def resources(directory: Path, files: dict[str, str]) -> Resources:
    for name, content in files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(content)
    return Resources(directory, cgroup=directory)


@pytest.mark.parametrize("files", [V1, V2], ids=["version 1", "version 2"])
def test_the_limit_of_a_control_group(tmp_path: Path, files: dict[str, str]) -> None:
    """Reclaimable page cache counts as free."""
    assert resources(tmp_path, files).free_memory() == 500 * MIB
    assert resources(tmp_path, files).kills_for_memory() == 3


@pytest.mark.parametrize(
    "files",
    [
        {},
        {**V2, "memory.max": "max\n"},
        {**V1, "memory/memory.limit_in_bytes": "9223372036854771712\n"},
    ],
    ids=["no control group", "version 2", "version 1"],
)
def test_without_a_limit_the_machine_counts(tmp_path: Path, files: dict[str, str]) -> None:
    left = resources(tmp_path, files).free_memory()
    assert left == pytest.approx(psutil.virtual_memory().available, rel=0.2)


@pytest.mark.parametrize(
    ("files", "path"),
    [(V1, "memory/memory.usage_in_bytes"), (V2, "memory.current")],
    ids=["version 1", "version 2"],
)
def test_more_in_use_than_allowed(tmp_path: Path, files: dict[str, str], path: str) -> None:
    assert resources(tmp_path, {**files, path: f"{1300 * MIB}\n"}).free_memory() == 0


def test_a_gpu_whose_driver_does_not_tell_its_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A failed reading doesn't fail a load."""

    def refuse() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)

    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", refuse)
    monkeypatch.setattr(pynvml, "nvmlShutdown", refuse)
    assert Resources(tmp_path).free_gpu_memory() is None
