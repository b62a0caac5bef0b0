"""Amazon ECR: the names of its images, logging in, and repositories."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field

from byoc.aws.session import Aws

__all__ = ["EcrImage", "Login", "ensure_repository", "log_in", "parse_image", "registry_host"]

_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/"
    r"(?P<repository>[^:@]+)(:(?P<tag>[^@]+))?(@(?P<digest>sha256:[0-9a-f]+))?"
)


@dataclass(frozen=True)
class EcrImage:
    """The name of an image in ECR, in parts. `tag` and `digest` are None if the name does not have them."""

    account: str
    region: str
    repository: str
    tag: str | None
    digest: str | None


@dataclass(frozen=True)
class Login:
    """Credentials for a registry. The password is not part of the repr."""

    username: str
    password: str = field(repr=False)

    def config(self) -> dict[str, str]:
        """The credentials as Docker's API expects them."""
        return {"username": self.username, "password": self.password}


def parse_image(image: str) -> EcrImage | None:
    """The parts of an image's name; None if the image is not in Amazon ECR."""
    match = _IMAGE.fullmatch(image)
    if not match:
        return None
    return EcrImage(match["account"], match["region"], match["repository"], match["tag"], match["digest"])


def registry_host(account: str, region: str) -> str:
    """The host name of an account's ECR registry. Regions in China have their own domain."""
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{domain}"


def log_in(aws: Aws) -> Login:
    """Credentials for every ECR registry that the caller may use. They are valid for 12 hours."""
    token = aws.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    username, _, password = base64.b64decode(token).decode().partition(":")
    return Login(username, password)


def ensure_repository(aws: Aws, name: str, *, immutable: bool) -> str:
    """Create an ECR repository if it does not exist, and return its URI: HOST/NAME.

    A new repository scans images on push. With `immutable`, tags can no longer be moved to another image; without it,
    an existing repository keeps its setting.
    """
    ecr = aws.ecr
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
