"""Which tenants are loaded, for the app and for HAProxy alike."""

from __future__ import annotations

from collections.abc import Iterable

from serve.front_door.tenant_map import TenantMap
from serve.tenants.values import LoadedTenant

__all__ = ["Registry"]


class Registry:
    """The loaded tenants.

    Args:
        tenant_map: which tenants HAProxy hands to Triton by itself.
    """

    def __init__(self, tenant_map: TenantMap) -> None:
        """No tenant is loaded yet."""
        self._tenant_map = tenant_map
        self._tenants: dict[str, LoadedTenant] = {}

    def get(self, name: str) -> LoadedTenant | None:
        """Return a loaded tenant, or None."""
        return self._tenants.get(name)

    def names(self) -> list[str]:
        """Return the names of all loaded tenants, sorted."""
        return sorted(self._tenants)

    def all(self) -> tuple[LoadedTenant, ...]:
        """Return all loaded tenants."""
        return tuple(self._tenants.values())

    async def add(self, tenant: LoadedTenant) -> None:
        """Add a tenant that is ready: first to HAProxy's map, then here."""
        await self._tenant_map.add(tenant.name, tenant.entry)
        self._tenants[tenant.name] = tenant

    async def remove(self, name: str) -> None:
        """Remove a tenant, if it is there: first from HAProxy's map, so that both give the same answer, 404."""
        await self._tenant_map.remove(name)
        self._tenants.pop(name, None)

    async def replace(self, tenants: Iterable[LoadedTenant]) -> None:
        """Make these the loaded tenants."""
        self._tenants = {tenant.name: tenant for tenant in tenants}
        await self._tenant_map.replace({name: tenant.entry for name, tenant in self._tenants.items()})
