"""A model: its name, its directory and its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serve.repository.config import ModelConfig

__all__ = ["Model"]


@dataclass(frozen=True)
class Model:
    """A model.

    Attributes:
        name: the name of its directory; "" for an archive that is itself a model.
        directory: its directory.
        config: its configuration.
    """

    name: str
    directory: Path
    config: ModelConfig

    def __str__(self) -> str:
        """Return its name in messages."""
        return self.name or "the model at the root of the archive"
