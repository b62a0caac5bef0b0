"""Pulling images from and pushing them to a registry: Amazon ECR or any other."""

from __future__ import annotations

from dataclasses import dataclass

import docker
from docker.errors import ImageNotFound

from byoc import aws
from byoc.aws import Aws
from byoc.aws.ecr import Login, ensure_repository, log_in, parse_image
from byoc.errors import ConfigurationError, ImageError, RegistryError
from byoc.image import engine
from byoc.progress import SILENT, Progress

__all__ = ["Pushed", "ensure_local", "push", "push_to_ecr"]


@dataclass(frozen=True)
class Pushed:
    """An image in a registry: `reference` is REPOSITORY:TAG, `digest` its manifest's (sha256:…)."""

    reference: str
    digest: str

    @property
    def uri(self) -> str:
        """REPOSITORY@sha256:…, which always names this image."""
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"


def ensure_local(
    client: docker.DockerClient, image: str, profile: str | None = None, *, progress: Progress = SILENT
) -> None:
    """Pull `image` unless the engine has it; from ECR, with the credentials of the AWS `profile`.

    Raises:
        ImageError: the image does not exist, or you are not allowed to pull it.
    """
    try:
        client.images.get(image)
    except ImageNotFound:
        in_ecr = parse_image(image)
        login = log_in(aws.connect(in_ecr.region, profile)).config() if in_ecr else None
        with engine.explained(f"pulling {image}", "Check its name; if the registry needs a login, run `docker login`."):
            events = client.api.pull(image, stream=True, decode=True, auth_config=login)
            failures = [event["error"] for event in engine.follow_layers(events, progress) if "error" in event]
        if failures:
            raise ImageError(f"pulling {image}: {failures[0]}") from None


def push_to_ecr(
    session: Aws, image: str, repository: str, tag: str, *, immutable: bool = False, progress: Progress = SILENT
) -> Pushed:
    """Push a local image to ECR in the session's region. Creates the repository if it does not exist."""
    uri = ensure_repository(session, repository, immutable=immutable)
    return push(image, uri, tag, log_in(session), progress=progress)


def push(image: str, repository: str, tag: str, login: Login | None = None, *, progress: Progress = SILENT) -> Pushed:
    """Push a local image as HOST/NAME:TAG. Without `login`, with the credentials stored by `docker login`.

    Raises:
        ImageError: the engine does not have the image.
        RegistryError: the registry rejects the image, or cannot be reached.
        ConfigurationError: `repository` or `tag` is not a valid name.
    """
    reference = f"{repository}:{tag}"
    auth = login.config() if login else None
    with engine.connected() as client, engine.explained(f"pushing {reference}"):
        _tag(client, image, repository, tag)
        events = client.api.push(repository, tag=tag, stream=True, decode=True, auth_config=auth)
        remaining = list(engine.follow_layers(events, progress))
    failures = [event["error"] for event in remaining if "error" in event]
    if failures:
        raise RegistryError(f"pushing {reference}: {failures[0]}", _remedy(failures[0]))
    digest = next((event["aux"]["Digest"] for event in remaining if "Digest" in event.get("aux", {})), "")
    if not digest:
        raise RegistryError(f"pushing {reference}: the registry did not confirm the image")
    return Pushed(reference, digest)


def _tag(client: docker.DockerClient, image: str, repository: str, tag: str) -> None:
    """Tag a local image with the name to push it as."""
    try:
        found = client.images.get(image)
    except ImageNotFound:
        remedy = "Build it with `byoc build`; `docker images` lists the images."
        raise ImageError(f"the Docker engine has no image {image!r}", remedy) from None
    try:
        found.tag(repository, tag)
    except docker.errors.APIError as error:
        remedy = "A repository is HOST/NAME in lower case; a tag has letters, digits, `_`, `.` and `-`."
        raise ConfigurationError(f"{repository}:{tag}: {error.explanation}", remedy) from error


def _remedy(error: str) -> str:
    """What to do about a failed push."""
    if "immutable" in error:
        return "The repository's tags are immutable: push under another --tag."
    if "denied" in error or "no basic auth" in error or "unauthorized" in error:
        return "Log in with `docker login`, and check that you are allowed to push there."
    return "Check the registry's name, and that this machine can reach it."
