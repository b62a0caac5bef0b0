"""Why a tenant can't be loaded or unloaded."""

from __future__ import annotations

__all__ = ["AlreadyLoadedError", "NotLoadedError", "OutOfResourcesError", "TenantError", "TenantLoadError"]


class TenantError(Exception):
    """A tenant can't be loaded or unloaded.

    AlreadyLoadedError  it is loaded.
    NotLoadedError      it is not loaded.
    OutOfResourcesError memory, shared memory, disk or GPU memory is short: something else must be unloaded first.
    TenantLoadError     its archive can't be served.
    """


class AlreadyLoadedError(TenantError):
    """The tenant is already loaded."""


class NotLoadedError(TenantError):
    """The tenant is not loaded."""


class OutOfResourcesError(TenantError):
    """A resource is short. The message says which, how much is needed and how much is left, where that is known."""


class TenantLoadError(TenantError):
    """The archive can't be served. The message says why."""
