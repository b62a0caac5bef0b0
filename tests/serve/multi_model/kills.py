"""Keeps tests in which the kernel kills for lack of memory apart from all others of multi-model endpoints.

`serve` reads the kernel's counter of such kills to tell why a process has died. In control groups of version 2 the
counter of a group has the kills of the groups below it too: a kill in one test would explain a death in another.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["kept_apart"]


@contextmanager
def kept_apart(directory: Path, *, alone: bool) -> Iterator[None]:
    """Run the block alone, or beside others that need not be alone, in whichever process of this machine.

    Args:
        directory: that the processes share. Two files are made there.
        alone: whether no other block may run meanwhile.
    """
    with (directory / "entrance").open("w") as entrance, (directory / "kills").open("w") as kills:
        fcntl.flock(entrance, fcntl.LOCK_EX)  # while one waits to be alone no other starts
        fcntl.flock(kills, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(entrance, fcntl.LOCK_UN)
        yield
