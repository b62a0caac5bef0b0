"""What `serve` finds out about the machine that it runs on."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from serve.plan.make import Machine
from serve.triton.command import SHARED_MEMORY

__all__ = ["inspect_machine", "is_free", "processors"]

CGROUP = Path("/sys/fs/cgroup")


def inspect_machine(work_dir: Path, install_dir: Path) -> Machine:
    """Return what the plan must know.

    Args:
        work_dir: a directory that is this container's own.
        install_dir: where tritonserver is installed.
    """
    return Machine(
        gpus=len(list(Path("/dev").glob("nvidia[0-9]*"))),
        processors=processors(),
        haproxy=shutil.which("haproxy"),
        free=is_free,
        work_dir=work_dir,
        environment=dict(os.environ),
        free_shared_memory=shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else None,
        python_backends=_python_backends(install_dir / "backends"),
    )


def processors(cgroup: Path = CGROUP) -> int:
    """Return how many processors may be used: those of the affinity, or fewer where the container has a quota.

    Args:
        cgroup: where the container's control group is mounted, version 2 or 1.
    """
    available = len(os.sched_getaffinity(0))
    for files in ("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"):
        if all((cgroup / file).is_file() for file in files):
            quota, period = " ".join((cgroup / file).read_text() for file in files).split()
            return available if quota in ("max", "-1") else max(1, min(available, int(quota) // int(period)))
    return available


def is_free(port: int) -> bool:
    """Tell whether a TCP port can be listened on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _python_backends(backends: Path) -> frozenset[str]:
    """Return the backends that are written in Python, the stand-ins among them: a compiled one comes first."""
    written = {path.parent.name for path in backends.glob("*/model.py")}
    compiled = {path.parent.name for path in backends.glob("*/libtriton_*.so")}
    return frozenset(written - compiled) | {"python"}
