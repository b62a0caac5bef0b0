"""How much memory, shared memory, disk and GPU memory is left, and whether the kernel has killed for memory."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import psutil
import pynvml

from serve.machine.cgroup import ControlGroup, read_counters
from serve.machine.values import SHARED_MEMORY

__all__ = ["Resources"]

VMSTAT = Path("/proc/vmstat")


class Resources:
    """What is left, in bytes.

    Args:
        work_dir: a directory on the disk that tenants are installed on.
        cgroup: where the container's control group is mounted; None for the usual place.
    """

    def __init__(self, work_dir: Path, cgroup: Path | None = None) -> None:
        """Name the places; nothing is read yet."""
        self._work_dir = work_dir
        self._cgroup = ControlGroup() if cgroup is None else ControlGroup(cgroup)

    def free_memory(self) -> int:
        """Return the host memory that this container can still take: the machine's, or less if it has a limit."""
        available = psutil.virtual_memory().available
        within_limit = self._cgroup.free_memory()
        return available if within_limit is None else min(available, within_limit)

    def free_shared_memory(self) -> int:
        """Return what is left of /dev/shm."""
        return shutil.disk_usage(SHARED_MEMORY).free

    def free_disk(self) -> int:
        """Return what is left of the disk that tenants are installed on."""
        return shutil.disk_usage(self._work_dir).free

    def kills_for_memory(self) -> int:
        """Return how many processes the kernel has killed for lack of memory: here, else on this machine."""
        kills = self._cgroup.kills_for_memory()
        return read_counters(VMSTAT).get("oom_kill", 0) if kills is None else kills

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
