"""The container's control group, version 2 or 1: the one reader of its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ControlGroup", "read_counters"]


@dataclass(frozen=True)
class ControlGroup:
    """A control group. Each look reads the files anew; None stands for what the kernel does not tell or limit.

    Attributes:
        root: where it is mounted.
    """

    root: Path = Path("/sys/fs/cgroup")

    def processor_quota(self) -> float | None:
        """Return how many processors' time the container may take; None without a quota."""
        for files in ("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"):
            if all((self.root / file).is_file() for file in files):
                quota, period = " ".join((self.root / file).read_text() for file in files).split()
                return None if quota in ("max", "-1") else int(quota) / int(period)
        return None

    def free_memory(self) -> int | None:
        """Return the bytes that the memory limit leaves, droppable page cache included; None without a limit."""
        limit = self._number("memory.max") or self._number("memory/memory.limit_in_bytes")
        used = self._number("memory.current") or self._number("memory/memory.usage_in_bytes")
        if limit is None or used is None:
            return None
        statistics = read_counters(self.root / "memory.stat") or read_counters(self.root / "memory" / "memory.stat")
        # Version 1 counts the groups below, if there are any, in its totals only.
        droppable = statistics.get("total_inactive_file", statistics.get("inactive_file", 0))
        return max(0, limit - used + droppable)

    def kills_for_memory(self) -> int | None:
        """Return how many processes of the container the kernel has killed for lack of memory."""
        for file in "memory.events", "memory/memory.oom_control":
            if (kills := read_counters(self.root / file).get("oom_kill")) is not None:
                return kills
        return None

    def _number(self, file: str) -> int | None:
        try:
            text = (self.root / file).read_text().strip()
        except OSError:
            return None
        return int(text) if text.isdigit() else None  # "max": no limit


def read_counters(path: Path) -> dict[str, int]:
    """Read lines of a name and a number, as the kernel writes counters; empty where there is no such file."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
