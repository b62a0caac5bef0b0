"""A built image: what it adds to its base, layer by layer."""

from __future__ import annotations

import re
from dataclasses import dataclass

import docker

__all__ = ["SIZE_LIMIT", "BuiltImage", "Layer", "added_layers"]

MODELS = "/opt/model_repository/"  # docker/Dockerfile copies the shared models here, in a layer of their own
SIZE_LIMIT = 150_000_000  # bytes that the image may add to its base, besides the models; DALI is part of the base


@dataclass(frozen=True)
class Layer:
    """A layer of an image: the instruction that created it, and its size in bytes."""

    instruction: str
    size: int


@dataclass(frozen=True)
class BuiltImage:
    """A built image: its name, its ID (sha256:…), its base image, and the layers that it adds to it."""

    tag: str
    id: str
    base: str
    added: tuple[Layer, ...]

    @property
    def added_size(self) -> int:
        """The number of bytes that the image adds to its base."""
        return sum(layer.size for layer in self.added)

    @property
    def models_size(self) -> int:
        """How many of the added bytes are the shared models: weights, and the serialised DALI pipeline."""
        return sum(layer.size for layer in self.added if MODELS in layer.instruction)

    def summary(self) -> dict[str, object]:
        """The image in JSON types; sizes in bytes."""
        layers = [{"instruction": layer.instruction, "size": layer.size} for layer in self.added]
        sizes = {"added_size": self.added_size, "models_size": self.models_size}
        return {"tag": self.tag, "id": self.id, "base": self.base, **sizes, "added": layers}


def added_layers(client: docker.DockerClient, image: str, base: str) -> tuple[Layer, ...]:
    """The non-empty layers that `image` has on top of `base`, oldest first."""
    shared = len(client.images.get(base).history())
    history = client.images.get(image).history()[:-shared]
    return tuple(Layer(_readable(entry["CreatedBy"]), entry["Size"]) for entry in reversed(history) if entry["Size"])


def _readable(created_by: str) -> str:
    """The instruction of a history entry, without the shell that ran it."""
    text = re.sub(r"^(\|\d+ .*?)?/bin/sh -c (#\(nop\) +)?", "", created_by)
    return " ".join(text.removesuffix("# buildkit").split())
