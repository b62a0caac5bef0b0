"""Refuses what would fail once it is started."""

from __future__ import annotations

from serve.machine.inspect import is_free
from serve.settings import Settings, SettingsError, variables

__all__ = ["check_machine"]


def check_machine(settings: Settings) -> None:
    """Check that tritonserver is installed and that the SageMaker port is free.

    Raises:
        SettingsError: one of them is not so.
    """
    names = variables()
    if not settings.tritonserver.is_file():
        raise SettingsError(
            f"{names['install_dir'].name}={str(settings.install_dir)!r}: expected a directory that holds "
            "bin/tritonserver"
        )
    if not is_free(settings.bind_to_port):
        raise SettingsError(
            f"{names['bind_to_port'].name}='{settings.bind_to_port}': expected a free port, another program listens "
            "on this one"
        )
