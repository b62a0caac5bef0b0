"""What `serve` knows of the machine that it runs on: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from serve.repository import Runtime

__all__ = ["SHARED_MEMORY", "Machine"]

# Where the Python backend keeps what it shares with the processes of its models.
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine, as `inspect_machine` finds it.

    Attributes:
        gpus: number of GPUs.
        processors: number of processors that this container may use.
        haproxy: path of the HAProxy program; None where it is not installed.
        python: path of the Python that runs the app.
        free_ports: TCP ports that nobody listens on, of those that the settings allow; the first few only.
        work_dir: a directory for sockets and rendered files that is this container's own.
        environment: the environment variables that children inherit.
        free_shared_memory: bytes that are left of /dev/shm; None if that is not known.
        python_backends: the backends of which every instance is a process of its own.
    """

    gpus: int
    processors: int
    haproxy: str | None
    python: str
    free_ports: tuple[int, ...]
    work_dir: Path
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    free_shared_memory: int | None = None
    python_backends: frozenset[str] = frozenset({"python"})

    @property
    def runtime(self) -> Runtime:
        """Return what decides how many processes a model runs in."""
        return Runtime(self.python_backends, self.gpus)
