"""How the front door stops accepting requests and finishes those in flight."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

from serve.front_door.admin import AdminSession
from serve.plan.values import AdminDrain, NoDrain, SigtermDrain
from serve.supervisor.process import Process

__all__ = ["STOP_SECONDS", "drain"]

# How long a child without anything in flight may take to end.
STOP_SECONDS = 2

# Once nothing has been in flight for this long, the connections that are still open are idle.
QUIET_SECONDS = 0.5
POLL_SECONDS = 0.05

FRONTEND = "sagemaker"


async def drain(process: Process, seconds: float) -> bool:
    """Drain a child by its policy; return whether everything in flight was answered within `seconds`."""
    if not process.running:
        return True
    match process.child.drain:
        case NoDrain():
            return True
        case SigtermDrain():
            ended = await process.stop(seconds + STOP_SECONDS)
            return ended and process.status in (0, -signal.SIGTERM)  # the signal: it had not begun to listen
        case AdminDrain(socket):
            return await _drain_haproxy(process, socket, seconds)


async def _drain_haproxy(haproxy: Process, admin_socket: Path, seconds: float) -> bool:
    """Let HAProxy stop softly; return whether it has ended, or nothing was in flight for a while, within `seconds`.

    Where it can't be asked what is in flight, its own end must tell.
    """
    deadline = time.monotonic() + seconds
    try:
        async with AdminSession(admin_socket) as session:
            haproxy.send(signal.SIGUSR1)
            quiet_since = time.monotonic()
            while haproxy.running and time.monotonic() - quiet_since < QUIET_SECONDS:
                await asyncio.sleep(POLL_SECONDS)
                if await session.in_flight(FRONTEND):
                    quiet_since = time.monotonic()
                if time.monotonic() > deadline:
                    return False
    except (EOFError, OSError):  # it has ended, had not begun to listen, or is stuck
        haproxy.send(signal.SIGUSR1)
        return await haproxy.ends_within(deadline - time.monotonic())
    return True
