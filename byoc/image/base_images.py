"""AWS's `sagemaker-tritonserver` images: which account serves which tag in which region (`base_images.json`)."""

from __future__ import annotations

import functools
import importlib.resources
import json
from dataclasses import dataclass

from byoc.aws.ecr import registry_host
from byoc.errors import RegionError

__all__ = ["BaseImage", "base_image", "tags"]


@dataclass(frozen=True)
class BaseImage:
    """One `sagemaker-tritonserver` image."""

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
    """The repository's name, and a mapping of tag → region → account, newest tag first."""
    table = json.loads(importlib.resources.files("byoc.image").joinpath("base_images.json").read_text("utf-8"))
    return table["repository"], table["tags"]


def tags() -> tuple[str, ...]:
    """The known image tags, newest first."""
    return tuple(_table()[1])


def base_image(region: str, tag: str | None = None) -> BaseImage:
    """The image `tag` (default: the newest) in `region`.

    Raises:
        RegionError: the region has no such image.
    """
    repository, table = _table()
    serving = [known for known in table if region in table[known]]
    if not serving:
        known_regions = ", ".join(sorted({name for regions in table.values() for name in regions}))
        raise RegionError(
            f"region: no sagemaker-tritonserver image is known for {region!r}", f"Known regions: {known_regions}"
        )
    if tag is None:
        tag = serving[0]
    if tag not in serving:
        raise RegionError(f"{region} has no sagemaker-tritonserver image {tag!r}", f"It has: {', '.join(serving)}")
    return BaseImage(table[tag][region], region, repository, tag)
