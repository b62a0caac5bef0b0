"""Which account serves AWS's `sagemaker-tritonserver` image in which region, from the table `base_images.json`."""

from __future__ import annotations

import functools
import importlib.resources
import json
from dataclasses import dataclass

from byoc.errors import RegionError

__all__ = ["BaseImage", "base_image", "registry_host", "tags"]


@dataclass(frozen=True)
class BaseImage:
    """One `sagemaker-tritonserver` image; `uri` is what `docker pull` takes."""

    account: str
    region: str
    repository: str
    tag: str

    @property
    def uri(self) -> str:
        """`ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG`."""
        return f"{registry_host(self.account, self.region)}/{self.repository}:{self.tag}"


@functools.cache
def _table() -> tuple[str, dict[str, dict[str, str]]]:
    """The repository's name, and tag → region → account, newest tag first."""
    table = json.loads(importlib.resources.files("byoc.image").joinpath("base_images.json").read_text("utf-8"))
    return table["repository"], table["tags"]


def registry_host(account: str, region: str) -> str:
    """The host name of an account's ECR registry. China's regions have a domain of their own."""
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{domain}"


def tags() -> tuple[str, ...]:
    """The image tags that are known, newest first."""
    return tuple(_table()[1])


def base_image(region: str, tag: str | None = None) -> BaseImage:
    """The image `tag` (default: the newest one that `region` has) as served in `region`; raises RegionError."""
    repository, table = _table()
    serving = [known for known in table if region in table[known]]
    if not serving:
        known_regions = ", ".join(sorted({name for regions in table.values() for name in regions}))
        raise RegionError(f"region: no sagemaker-tritonserver image is known for {region!r}", f"Known: {known_regions}")
    if tag is None:
        tag = serving[0]
    if tag not in serving:
        raise RegionError(f"{region} has no sagemaker-tritonserver image {tag!r}", f"It has: {', '.join(serving)}")
    return BaseImage(table[tag][region], region, repository, tag)
