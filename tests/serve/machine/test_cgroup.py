"""What the files of control groups of version 1 and 2 tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve.machine.cgroup import ControlGroup

MIB = 1024**2
V1 = {
    "cpu/cpu.cfs_quota_us": "150000\n",
    "cpu/cpu.cfs_period_us": "100000\n",
    "memory/memory.limit_in_bytes": f"{1000 * MIB}\n",
    "memory/memory.usage_in_bytes": f"{700 * MIB}\n",
    "memory/memory.stat": f"cache {300 * MIB}\ninactive_file 1\ntotal_inactive_file {200 * MIB}\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
}
V2 = {
    "cpu.max": "150000 100000\n",
    "memory.max": f"{1000 * MIB}\n",
    "memory.current": f"{700 * MIB}\n",
    "memory.stat": f"anon {400 * MIB}\nfile {300 * MIB}\ninactive_file {200 * MIB}\n",
    "memory.events": "low 0\nhigh 0\nmax 12\noom 4\noom_kill 3\noom_group_kill 0\n",
}


def group(directory: Path, files: dict[str, str]) -> ControlGroup:
    for name, content in files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(content)
    return ControlGroup(directory)


@pytest.mark.parametrize("files", [V1, V2], ids=["version 1", "version 2"])
def test_limits(tmp_path: Path, files: dict[str, str]) -> None:
    """What can be dropped of the page cache counts as free."""
    made = group(tmp_path, files)
    assert (made.processor_quota(), made.free_memory(), made.kills_for_memory()) == (1.5, 500 * MIB, 3)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu.max": "max 100000\n", "memory.max": "max\n", "memory.current": "1\n"},
        {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
    ],
    ids=["no control group", "version 2", "version 1"],
)
def test_without_limits(tmp_path: Path, files: dict[str, str]) -> None:
    made = group(tmp_path, files)
    assert (made.processor_quota(), made.free_memory(), made.kills_for_memory()) == (None, None, None)


@pytest.mark.parametrize(
    ("files", "path"),
    [(V1, "memory/memory.usage_in_bytes"), (V2, "memory.current")],
    ids=["version 1", "version 2"],
)
def test_more_in_use_than_allowed(tmp_path: Path, files: dict[str, str], path: str) -> None:
    assert group(tmp_path, {**files, path: f"{1300 * MIB}\n"}).free_memory() == 0
