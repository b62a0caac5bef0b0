"""Processes that became children of ours because their parents died: as process 1, `serve` has to reap them."""

from __future__ import annotations

import os
from collections.abc import Collection

__all__ = ["reap_orphans"]


def reap_orphans(children: Collection[int], group: int | None = None) -> bool:
    """Reap the orphans that have ended.

    Args:
        children: process ids whose statuses are left to asyncio.
        group: look at this process group only; None for all.

    Returns:
        Whether there is another process that has not been reaped, one of `children` included.
    """
    kind, number = (os.P_ALL, 0) if group is None else (os.P_PGID, group)
    try:
        # Others wait behind a child of asyncio's that has just ended: until the next time.
        while (ended := _next_ended(kind, number)) and ended not in children:
            os.waitpid(ended, os.WNOHANG)
    except ChildProcessError:  # there are none
        return False
    return True


def _next_ended(kind: int, number: int) -> int | None:
    """Return a process that has ended, without reaping it; None if all run on."""
    ended = os.waitid(kind, number, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return ended.si_pid if ended else None
