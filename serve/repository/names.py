"""The names of a tenant's models in Triton, which has a single namespace.

A tenant's entry model, the one that an invocation runs, gets the tenant's name, and every other model of its archive
gets that name as a prefix, so that two tenants can have models of the same name.
"""

from __future__ import annotations

import hashlib
import re
from itertools import count

from serve.repository.archives import Tenant

__all__ = ["SEPARATOR", "names_in_triton"]

SEPARATOR = "--"
PLAIN_NAME = re.compile(r"(?!.*_[0-9a-f]{16}$)[0-9A-Za-z][0-9A-Za-z._-]{0,99}")  # and unlike those of _digest


def names_in_triton(
    name: str, tenant: Tenant, shared_models: frozenset[str] = frozenset(), taken: frozenset[str] = frozenset()
) -> dict[str, str]:
    """Return the name in Triton of each model of a tenant.

    Args:
        name: the tenant's name in SageMaker: any text without "/".
        tenant: its archive.
        shared_models: the names of the image's shared models.
        taken: other names that can't be used.
    """
    entry = _plain(name) if name not in shared_models and SEPARATOR not in name else _digest(name)
    for attempt in count(1):
        names = {
            model.name: entry if model.name == tenant.entry else f"{entry}{SEPARATOR}{_plain(model.name)}"
            for model in tenant.models
        }
        if taken.isdisjoint(names.values()):
            break
        entry = _digest(f"{name}/{attempt}")
    return names


def _plain(name: str) -> str:
    return name if PLAIN_NAME.fullmatch(name) else _digest(name)


def _digest(name: str) -> str:
    """Return a unique name that is valid in Triton, in URLs and in the file system."""
    readable = re.sub(r"[^0-9A-Za-z]+", "_", name)[:40]
    return f"{readable}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"
