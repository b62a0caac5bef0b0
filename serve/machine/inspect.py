"""Looks at the machine once, before anything is planned."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from serve.machine.cgroup import ControlGroup
from serve.machine.values import SHARED_MEMORY, Machine
from serve.settings import Settings

__all__ = ["inspect_machine", "is_free", "processors"]

# As many as may be needed: one for each of Triton's three front ends, although settings may name four of these.
FREE_PORTS = 7


def inspect_machine(work_dir: Path, settings: Settings) -> Machine:
    """Return what the plan must know.

    Args:
        work_dir: a directory that is this container's own.
        settings: say which ports may be opened and where tritonserver is installed.
    """
    return Machine(
        gpus=len(list(Path("/dev").glob("nvidia[0-9]*"))),
        processors=processors(),
        haproxy=shutil.which("haproxy"),
        python=sys.executable,
        free_ports=tuple(islice(_free_ports(settings), FREE_PORTS)),
        work_dir=work_dir,
        environment=dict(os.environ),
        free_shared_memory=shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else None,
        python_backends=_python_backends(settings.install_dir / "backends"),
    )


def processors(cgroup: Path | None = None) -> int:
    """Return how many processors may be used: those of the affinity, or fewer where the container has a quota.

    Args:
        cgroup: where the container's control group is mounted; None for the usual place.
    """
    group = ControlGroup() if cgroup is None else ControlGroup(cgroup)
    available = len(os.sched_getaffinity(0))
    quota = group.processor_quota()
    return available if quota is None else max(1, min(available, int(quota)))


def is_free(port: int) -> bool:
    """Tell whether a TCP port can be listened on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _free_ports(settings: Settings) -> Iterator[int]:
    return filter(is_free, settings.inner_ports)


def _python_backends(backends: Path) -> frozenset[str]:
    """Return the backends that are written in Python, the stand-ins among them: a compiled one comes first."""
    written = {path.parent.name for path in backends.glob("*/model.py")}
    compiled = {path.parent.name for path in backends.glob("*/libtriton_*.so")}
    return frozenset(written - compiled) | {"python"}
