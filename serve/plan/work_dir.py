"""Where the files of one container lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["WorkDir"]


@dataclass(frozen=True)
class WorkDir:
    """A directory that is this container's own.

    Attributes:
        root: the directory.
    """

    root: Path

    @property
    def app_socket(self) -> Path:
        """Where the app listens behind HAProxy."""
        return self.root / "app.sock"

    @property
    def triton_socket(self) -> Path:
        """Where Triton's HTTP front end listens, unless it has a port."""
        return self.root / "triton.sock"

    @property
    def metrics_socket(self) -> Path:
        """Where HAProxy offers its metrics."""
        return self.root / "metrics.sock"

    @property
    def admin_socket(self) -> Path:
        """Where HAProxy takes commands."""
        return self.root / "haproxy.sock"

    @property
    def haproxy_configuration(self) -> Path:
        """HAProxy's configuration."""
        return self.root / "haproxy.cfg"

    @property
    def tenant_map(self) -> Path:
        """HAProxy's map of tenants."""
        return self.root / "tenants.map"

    @property
    def memory_map(self) -> Path:
        """HAProxy's map behind the memory flag."""
        return self.root / "memory.map"

    @property
    def tenant_repository(self) -> Path:
        """The model repository of the tenants."""
        return self.root / "tenants"

    @property
    def tenant_records(self) -> Path:
        """A file for each loaded tenant."""
        return self.root / "records"

    @property
    def shared_memory_prefix(self) -> str:
        """What the names of shared memory of Python models begin with: no other container's do."""
        return f"{self.root.name}-"
