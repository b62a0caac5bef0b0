"""How much memory, shared memory, disk and GPU memory is left, and whether the kernel has killed for memory."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import psutil
import pynvml

from serve.triton.command import SHARED_MEMORY

__all__ = ["Resources"]

CGROUP = Path("/sys/fs/cgroup")
VMSTAT = Path("/proc/vmstat")
V1_LIMIT = "memory/memory.limit_in_bytes"
V1_USED = "memory/memory.usage_in_bytes"


class Resources:
    """What is left, in bytes.

    Args:
        work_dir: a directory on the disk that tenants are installed on.
        cgroup: where the container's control group is mounted, version 2 or 1.
    """

    def __init__(self, work_dir: Path, cgroup: Path = CGROUP) -> None:
        """Name the places; nothing is read yet."""
        self._work_dir = work_dir
        self._cgroup = cgroup

    def free_memory(self) -> int:
        """Return the host memory that this container can still take: the machine's, or less if it has a limit."""
        available = psutil.virtual_memory().available
        within_limit = self._free_within_limit()
        return available if within_limit is None else min(available, within_limit)

    def free_shared_memory(self) -> int:
        """Return what is left of /dev/shm."""
        return shutil.disk_usage(SHARED_MEMORY).free

    def free_disk(self) -> int:
        """Return what is left of the disk that tenants are installed on."""
        return shutil.disk_usage(self._work_dir).free

    def kills_for_memory(self) -> int:
        """Return how many processes the kernel has killed for lack of memory: here, else on this machine."""
        for path in (self._cgroup / "memory.events", self._cgroup / "memory" / "memory.oom_control", VMSTAT):
            numbers = _numbers(path)
            if "oom_kill" in numbers:
                return numbers["oom_kill"]
        return 0

    def free_gpu_memory(self) -> int | None:
        """Return what is left of the fullest GPU's memory; None without a GPU, or where its driver does not tell."""
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return None
        try:
            handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
            return min((int(pynvml.nvmlDeviceGetMemoryInfo(handle).free) for handle in handles), default=None)
        except pynvml.NVMLError:  # such as a slice of a GPU, which not every driver tells the memory of
            return None
        finally:
            with suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()

    def _free_within_limit(self) -> int | None:
        """Return what the control group's limit leaves, droppable page cache included; None without a limit."""
        limit = _number(self._cgroup / "memory.max") or _number(self._cgroup / V1_LIMIT)
        used = _number(self._cgroup / "memory.current") or _number(self._cgroup / V1_USED)
        if limit is None or used is None:
            return None
        statistics = _numbers(self._cgroup / "memory.stat") or _numbers(self._cgroup / "memory" / "memory.stat")
        # Version 1 counts the groups below, if there are any, in its totals only.
        droppable = statistics.get("total_inactive_file", statistics.get("inactive_file", 0))
        return max(0, limit - used + droppable)


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max": no limit


def _numbers(path: Path) -> dict[str, int]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
