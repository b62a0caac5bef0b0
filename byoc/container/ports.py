"""TCP ports for endpoint containers that run side by side on one machine."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from byoc.errors import ContainerError

__all__ = ["is_free", "reserved_ports"]

# Below the range that the kernel takes outgoing ports from, and beside the one that `serve` uses by default.
FIRST, LAST, BLOCK_SIZE = 22000, 31999, 10


@contextmanager
def reserved_ports() -> Iterator[range]:
    """Reserve ten consecutive TCP ports that nobody listens on, until the block ends.

    Programs that reserve ports this way at the same time never get the same ones: a reservation is an abstract Unix
    socket, of which there is one of each name on a machine. The kernel removes it when its process ends.

    Raises:
        ContainerError: there are none.
    """
    firsts = range(FIRST, LAST, BLOCK_SIZE)
    for first in random.sample(firsts, len(firsts)):  # in order, everyone would try the same ones
        block = range(first, first + BLOCK_SIZE)
        with closing(socket.socket(socket.AF_UNIX)) as reservation:
            if _is_new(reservation, first) and all(map(is_free, block)):
                yield block
                return
    raise ContainerError(f"no {BLOCK_SIZE} consecutive TCP ports are free between {FIRST} and {LAST}")


def is_free(port: int) -> bool:
    """Tell whether a TCP port can be listened on."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _is_new(reservation: socket.socket, first: int) -> bool:
    try:
        reservation.bind(f"\0triton-byoc-ports-{first}")
    except OSError:
        return False
    return True
