"""Image registries: Amazon ECR and any other, pulled from and pushed to."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import docker
from docker.errors import ImageNotFound

from byoc import aws
from byoc.errors import ConfigurationError, ImageError, RegistryError
from byoc.image import engine

if TYPE_CHECKING:
    from byoc.aws import Aws

__all__ = ["Login", "Pushed", "ecr_login", "ecr_region", "ensure_local", "ensure_repository", "push", "push_to_ecr"]

_ECR_HOST = re.compile(r"^\d{12}\.dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/")


@dataclass(frozen=True)
class Login:
    """What a registry is logged in to with. The password is never shown."""

    username: str
    password: str = field(repr=False)

    def config(self) -> dict[str, str]:
        """As Docker's API takes it."""
        return {"username": self.username, "password": self.password}


@dataclass(frozen=True)
class Pushed:
    """An image in a registry: `reference` is REPOSITORY:TAG, `digest` that of its manifest (sha256:…)."""

    reference: str
    digest: str

    @property
    def uri(self) -> str:
        """The name that always means this image: REPOSITORY@sha256:…."""
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"


def ecr_region(image: str) -> str | None:
    """The region of an image in Amazon ECR; None for one that is elsewhere."""
    found = _ECR_HOST.match(image)
    return found["region"] if found else None


def ecr_login(session: Aws) -> Login:
    """Log in to ECR. The token is good for every registry that the caller may read or write, for twelve hours."""
    token = session.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    username, _, password = base64.b64decode(token).decode().partition(":")
    return Login(username, password)


def ensure_local(client: docker.DockerClient, image: str, profile: str | None = None) -> None:
    """Pull `image` unless the engine has it; with the caller's AWS credentials, those of `profile`, if it is in ECR.

    Raises:
        ImageError: there is no such image, or it may not be pulled.
    """
    try:
        client.images.get(image)
    except ImageNotFound:
        region = ecr_region(image)
        login = ecr_login(aws.connect(region, profile)).config() if region else None
        with engine.explained(f"pulling {image}", "Check its name; `docker login` if its registry wants it."):
            events = client.api.pull(image, stream=True, decode=True, auth_config=login)
            failures = [event["error"] for event in engine.follow_layers(events) if "error" in event]
        if failures:
            raise ImageError(f"pulling {image}: {failures[0]}") from None


def ensure_repository(session: Aws, name: str, immutable: bool) -> str:
    """Create an ECR repository if it is missing, and return its URI: HOST/NAME.

    A new one scans what is pushed. With `immutable` a tag can't be moved to another image afterwards; without it an
    existing repository keeps the setting that it has.
    """
    ecr = session.ecr
    try:
        found = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
    except ecr.exceptions.RepositoryNotFoundException:
        created = ecr.create_repository(
            repositoryName=name,
            imageTagMutability="IMMUTABLE" if immutable else "MUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
        )
        return created["repository"]["repositoryUri"]
    if immutable and found["imageTagMutability"] != "IMMUTABLE":
        ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE")
    return found["repositoryUri"]


def push_to_ecr(session: Aws, image: str, repository: str, tag: str, immutable: bool = False) -> Pushed:
    """Push a local image to ECR in the session's region, into a repository that is created when it is missing."""
    uri = ensure_repository(session, repository, immutable)
    return push(image, uri, tag, ecr_login(session))


def push(image: str, repository: str, tag: str, login: Login | None = None) -> Pushed:
    """Push a local image as HOST/NAME:TAG; without `login`, with what `docker login` has stored for the registry.

    Raises:
        ImageError: the engine does not have the image.
        RegistryError: the registry refuses it, or does not answer.
        ConfigurationError: the name or the tag is none.
    """
    reference = f"{repository}:{tag}"
    auth = login.config() if login else None
    with engine.connected() as client, engine.explained(f"pushing {reference}"):
        _tag(client, image, repository, tag)
        events = client.api.push(repository, tag=tag, stream=True, decode=True, auth_config=auth)
        told = list(engine.follow_layers(events))
    failures = [event["error"] for event in told if "error" in event]
    if failures:
        raise RegistryError(f"pushing {reference}: {failures[0]}", _remedy(failures[0]))
    digest = next((event["aux"]["Digest"] for event in told if "Digest" in event.get("aux", {})), "")
    if not digest:
        raise RegistryError(f"pushing {reference}: the registry has not confirmed the image")
    return Pushed(reference, digest)


def _tag(client: docker.DockerClient, image: str, repository: str, tag: str) -> None:
    """Give a local image the name it is pushed by."""
    try:
        found = client.images.get(image)
    except ImageNotFound:
        raise ImageError(
            f"the engine has no image {image!r}", "`byoc build` makes one; `docker images` lists them."
        ) from None
    try:
        found.tag(repository, tag)
    except docker.errors.APIError as error:
        remedy = "A repository is HOST/NAME in lower case, a tag letters, digits, `_`, `.` and `-`."
        raise ConfigurationError(f"{repository}:{tag}: {error.explanation}", remedy) from error


def _remedy(error: str) -> str:
    """What can be done about a push that failed."""
    if "immutable" in error:
        return "The repository's tags can't be moved: push under another --tag."
    if "denied" in error or "no basic auth" in error or "unauthorized" in error:
        return "Log in to it (docker login), or check that you may push there."
    return "Check the registry's name and that this machine reaches it."
