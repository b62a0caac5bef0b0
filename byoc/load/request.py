"""A request that a load generator sends again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Request"]


@dataclass(frozen=True)
class Request:
    """A POST request.

    Attributes:
        url: where to.
        headers: HTTP headers.
        body: the body.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
