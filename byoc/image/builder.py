"""Building the container image on a base image, with the classic builder that every engine has."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from byoc.errors import ImageError
from byoc.image import build_context, engine, registry
from byoc.image.built_image import BuiltImage, added_layers
from byoc.image.wheels import Target
from byoc.progress import SILENT, Progress

__all__ = ["CPU_BASE", "DEBIAN", "build", "build_cpu_base", "stage"]

CPU_BASE = "triton-byoc-cpu-base:latest"
DEBIAN = "debian:bookworm-slim"
DEBIAN_TARGET = Target(python="3.11.2", machine="x86_64", glibc="2.36")  # of Debian 12

# A label with the digest of everything that a CPU base was built from. It is only rebuilt when that changes.
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


def build(
    source: Path,
    base: str,
    tag: str,
    context: Path | None = None,
    profile: str | None = None,
    *,
    progress: Progress = SILENT,
) -> BuiltImage:
    """Build the image from a checkout.

    Args:
        source: the checkout.
        base: the base image. It is pulled if the engine does not have it.
        tag: the name of the new image.
        context: the directory for the build context. Default: build/image in the checkout.
        profile: the AWS profile to pull a base image from ECR with.
        progress: receives notes, transfers and waits.

    Raises:
        ConfigurationError: `source` is not a checkout.
        ImageError: no engine can be reached, the base image does not contain Triton, or the build fails.
    """
    with engine.connected() as client:
        context = _stage(client, source, base, context, profile, progress)
        labels = _labels(client, source, base)
        _run_build(client, context, tag, {"BASE_IMAGE": base}, labels, progress)
        return BuiltImage(tag, str(client.images.get(tag).id), base, added_layers(client, tag, base))


def stage(
    source: Path,
    base: str,
    context: Path | None = None,
    profile: str | None = None,
    *,
    progress: Progress = SILENT,
) -> Path:
    """Write the build context, for a `docker build` by hand, and return it. Arguments and errors: see `build`."""
    with engine.connected() as client:
        return _stage(client, source, base, context, profile, progress)


def _stage(
    client: docker.DockerClient,
    source: Path,
    base: str,
    context: Path | None,
    profile: str | None,
    progress: Progress,
) -> Path:
    context = context or source / "build" / "image"
    build_context.checkout(source)
    registry.ensure_local(client, base, profile, progress=progress)
    target = _target_of(client, base)
    progress.note(f"{base}: Python {target.python}, glibc {target.glibc}, {target.machine}")
    with progress.waiting("Staging wheels and models"):
        build_context.stage_image(source, context, target)
    return context


def build_cpu_base(source: Path, debian: str = DEBIAN, tag: str = CPU_BASE, *, progress: Progress = SILENT) -> str:
    """Build the CPU base image if anything that it is made of has changed, and return its name."""
    context = build_context.checkout(source) / "build" / "cpu-base"
    with engine.connected() as client:
        with progress.waiting("Staging the CPU base: Triton and DALI, about 600 MB of wheels the first time"):
            build_context.stage_cpu_base(source, context, DEBIAN_TARGET)
        inputs = f"{build_context.content_digest(context)} on {debian}"
        if _label(client, tag, _INPUTS_LABEL) == inputs:
            progress.note(f"{tag} is up to date")
        else:
            registry.ensure_local(client, debian, progress=progress)
            _run_build(client, context, tag, {"DEBIAN_IMAGE": debian}, {_INPUTS_LABEL: inputs}, progress)
    return tag


def _target_of(client: docker.DockerClient, base: str) -> Target:
    """Inspect the Python of a base image; raises ImageError if the image cannot be extended."""
    found = json.loads(engine.output_of(client, base, ["python3", "-c", _PROBE]))
    if not found.pop("triton"):
        remedy = "Use a sagemaker-tritonserver image, or `byoc build --cpu`."
        raise ImageError(f"{base} has no /opt/tritonserver/bin/tritonserver", remedy)
    if tuple(map(int, found["python"].split(".")[:2])) < (3, 10):
        raise ImageError(f"{base} has Python {found['python']}", "Use sagemaker-tritonserver 24.05 or later.")
    return Target(**found)


def _label(client: docker.DockerClient, image: str, label: str) -> str | None:
    """A label of a local image; None if the image or the label does not exist."""
    try:
        return client.images.get(image).labels.get(label)
    except ImageNotFound:
        return None


def _labels(client: docker.DockerClient, source: Path, base: str) -> dict[str, str]:
    """The OCI labels that the Dockerfile does not set. Empty ones are left out."""
    digests = client.images.get(base).attrs.get("RepoDigests") or [""]
    # check=False: git may be missing, or `source` not be a git repository.
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
    client: docker.DockerClient,
    context: Path,
    tag: str,
    arguments: Mapping[str, str],
    labels: Mapping[str, str],
    progress: Progress,
) -> None:
    """Build `context` as `tag`; raises ImageError with the end of the output if a step fails."""
    with engine.explained(f"building {tag}"):
        events = client.api.build(
            path=str(context), tag=tag, buildargs=dict(arguments), labels=dict(labels), rm=True, forcerm=True,
            decode=True,
        )  # fmt: skip
        _follow_build(tag, events, progress)


def _follow_build(tag: str, events: Iterable[engine.Event], progress: Progress) -> None:
    """Report each step of a build; raises ImageError if one fails."""
    started, output, step = time.monotonic(), list[str](), ""
    with progress.waiting(f"Building {tag}") as waiting:
        for event in events:
            text = event.get("stream", "").rstrip()
            if text.startswith("Step "):
                step, output = text, []
                waiting.show(text[:100], time.monotonic() - started)
            elif text:
                output.append(text)
            if "error" in event:
                tail = "\n".join(output[-20:])
                raise ImageError(f"building {tag} failed at {step}\n{tail}\n{event['error']}")
