"""The container image: built on a base image, with the classic builder that every engine has."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from byoc.commands import terminal
from byoc.errors import ImageError
from byoc.image import build_context, engine, registry
from byoc.image.wheels import Target

__all__ = ["CPU_BASE", "DEBIAN", "SIZE_LIMIT", "BuiltImage", "Layer", "build", "build_cpu_base", "stage"]

CPU_BASE = "triton-byoc-cpu-base:latest"
DEBIAN = "debian:bookworm-slim"
MODELS = "/opt/model_repository/"  # where docker/Dockerfile puts the shared models, with a COPY of their own
SIZE_LIMIT = 150_000_000  # what the image may add to its base, in bytes, beside the models; DALI is the base's
DEBIAN_TARGET = Target(python="3.11.2", machine="x86_64", glibc="2.36")  # of Debian 12

# The digest of everything that a CPU base was built from: it is built again only when that changes.
_INPUTS_LABEL = "triton-byoc.inputs"

_PROBE = """
import json, os, platform
print(json.dumps({
    "python": platform.python_version(),
    "machine": platform.machine(),
    "glibc": platform.libc_ver()[1],
    "triton": os.access("/opt/tritonserver/bin/tritonserver", os.X_OK),
}))
"""


@dataclass(frozen=True)
class Layer:
    """A layer of an image: the instruction that made it, and its size in bytes."""

    instruction: str
    size: int


@dataclass(frozen=True)
class BuiltImage:
    """A built image: its name, its id (sha256:…), the base it extends, and the layers that it adds to that."""

    tag: str
    id: str
    base: str
    added: tuple[Layer, ...]

    @property
    def added_size(self) -> int:
        """The bytes that it adds to its base."""
        return sum(layer.size for layer in self.added)

    @property
    def models_size(self) -> int:
        """How many of these bytes are the layer of the shared models: their weights, and DALI's serialised pipeline."""
        return sum(layer.size for layer in self.added if MODELS in layer.instruction)

    def summary(self) -> dict[str, object]:
        """What `byoc build --json` prints; sizes in bytes."""
        layers = [{"instruction": layer.instruction, "size": layer.size} for layer in self.added]
        sizes = {"added_size": self.added_size, "models_size": self.models_size}
        return {"tag": self.tag, "id": self.id, "base": self.base, **sizes, "added": layers}


def build(source: Path, base: str, tag: str, context: Path | None = None, profile: str | None = None) -> BuiltImage:
    """Build the image from a checkout on `base`, pulled (from ECR as the AWS `profile`) when it is not here.

    Raises:
        ConfigurationError: `source` is no checkout.
        ImageError: no engine answers, the base image is none of Triton's, or the build fails.
    """
    with engine.connected() as client:
        context = _stage(client, source, base, context, profile)
        _run_build(client, context, tag, {"BASE_IMAGE": base}, _labels(client, source, base))
        return BuiltImage(tag, str(client.images.get(tag).id), base, added_layers(client, tag, base))


def stage(source: Path, base: str, context: Path | None = None, profile: str | None = None) -> Path:
    """Write the build context for `base` (default: build/image in the checkout), for a `docker build` by hand too."""
    with engine.connected() as client:
        return _stage(client, source, base, context, profile)


def _stage(client: docker.DockerClient, source: Path, base: str, context: Path | None, profile: str | None) -> Path:
    context = context or source / "build" / "image"
    build_context.checkout(source)
    registry.ensure_local(client, base, profile)
    target = _target_of(client, base)
    terminal.note(f"{base}: Python {target.python}, glibc {target.glibc}, {target.machine}")
    with terminal.waiting("Staging wheels and models"):
        build_context.stage_image(source, context, target)
    return context


def build_cpu_base(source: Path, debian: str = DEBIAN, tag: str = CPU_BASE) -> str:
    """Build the CPU base image if something that it is made of has changed, and return its name."""
    context = build_context.checkout(source) / "build" / "cpu-base"
    with engine.connected() as client:
        with terminal.waiting("Staging the CPU base: Triton and DALI, about 600 MB of wheels the first time"):
            build_context.stage_cpu_base(source, context, DEBIAN_TARGET)
        inputs = f"{build_context.content_digest(context)} on {debian}"
        if _label(client, tag, _INPUTS_LABEL) == inputs:
            terminal.note(f"{tag} is up to date")
        else:
            registry.ensure_local(client, debian)
            _run_build(client, context, tag, {"DEBIAN_IMAGE": debian}, {_INPUTS_LABEL: inputs})
    return tag


def added_layers(client: docker.DockerClient, image: str, base: str) -> tuple[Layer, ...]:
    """The layers with a size that `image` has on top of `base`, the oldest first."""
    shared = len(client.images.get(base).history())
    history = client.images.get(image).history()[:-shared]
    return tuple(Layer(_readable(entry["CreatedBy"]), entry["Size"]) for entry in reversed(history) if entry["Size"])


def _readable(created_by: str) -> str:
    """The instruction in an entry of the history, without the shell that ran it."""
    text = re.sub(r"^(\|\d+ .*?)?/bin/sh -c (#\(nop\) +)?", "", created_by)
    return " ".join(text.removesuffix("# buildkit").split())


def _target_of(client: docker.DockerClient, base: str) -> Target:
    """Ask the base image for its Python; ImageError if it is none that we can extend."""
    found = json.loads(engine.output_of(client, base, ["python3", "-c", _PROBE]))
    if not found.pop("triton"):
        remedy = "Use a sagemaker-tritonserver image, or `byoc build --cpu`."
        raise ImageError(f"{base} has no /opt/tritonserver/bin/tritonserver", remedy)
    if tuple(map(int, found["python"].split(".")[:2])) < (3, 10):
        raise ImageError(f"{base} has Python {found['python']}", "Use a sagemaker-tritonserver of 24.05 or later.")
    return Target(**found)


def _label(client: docker.DockerClient, image: str, label: str) -> str | None:
    """A label of a local image; None if either is missing."""
    try:
        return client.images.get(image).labels.get(label)
    except ImageNotFound:
        return None


def _labels(client: docker.DockerClient, source: Path, base: str) -> dict[str, str]:
    """The OCI annotations that the build knows and the Dockerfile does not. An empty one is left out."""
    digests = client.images.get(base).attrs.get("RepoDigests") or [""]
    # Not in every place that images are built from is there git, or a repository.
    revision = subprocess.run(
        ["git", "-C", str(source), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    labels = {
        "org.opencontainers.image.base.name": base,
        "org.opencontainers.image.base.digest": digests[0].rpartition("@")[2],
        "org.opencontainers.image.revision": revision.stdout.strip(),
        "org.opencontainers.image.version": importlib.metadata.version("triton-byoc"),
    }
    return {name: value for name, value in labels.items() if value}


def _run_build(
    client: docker.DockerClient, context: Path, tag: str, arguments: dict[str, str], labels: dict[str, str]
) -> None:
    """Build `context` as `tag`, showing the step that runs; ImageError with the end of its output if one fails."""
    with engine.explained(f"building {tag}"):
        events = client.api.build(
            path=str(context), tag=tag, buildargs=arguments, labels=labels, rm=True, forcerm=True, decode=True
        )
        _follow_build(tag, events)


def _follow_build(tag: str, events: Iterable[engine.Event]) -> None:
    """Show each step of a build; ImageError when one fails."""
    started, output, step = time.monotonic(), list[str](), ""
    with terminal.waiting(f"Building {tag}") as shown:
        for event in events:
            text = event.get("stream", "").rstrip()
            if text.startswith("Step "):
                step, output = text, []
                shown.show(text[:100], time.monotonic() - started)
            elif text:
                output.append(text)
            if "error" in event:
                tail = "\n".join(output[-20:])
                raise ImageError(f"building {tag} failed at {step}\n{tail}\n{event['error']}")
