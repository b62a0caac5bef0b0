"""The difference between what is to be and what there is. Pure: from values, to a value that can be shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from byoc.deployment.resources import Desired, Request
from byoc.deployment.state import IN_PROGRESS, Existing
from byoc.deployment.storage import Upload

__all__ = ["EndpointAction", "Plan", "Step", "StoredObject", "make_plan"]

EndpointAction = Literal["keep", "create", "update", "replace"]
StoredObject = tuple[str, str]  # bucket, key


@dataclass(frozen=True)
class Step:
    """One thing that a deployment would do, for people and scripts to read."""

    action: str
    what: str
    name: str
    remark: str = ""

    def __str__(self) -> str:
        """One line."""
        return f"{self.action:8} {self.what:24} {self.name}{f'  ({self.remark})' if self.remark else ''}"

    def summary(self) -> dict[str, str]:
        """The step in JSON's types."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """What has to be done, in this order.

    Attributes:
        desired: what is to be.
        wait_first: something is in progress with the endpoint, and has to end before it can be changed.
        uploads: archives that S3 does not have.
        models: models to create.
        config: the endpoint configuration to create, if it is not there.
        unscale: variants that are scaled, and go.
        endpoint: what happens to the endpoint. A failed one can only be replaced.
        retain_instance_counts: a variant is scaled: the update keeps the instances it has by now.
        tags: tags to put on an endpoint that stays.
        obsolete_configs: configurations, models and objects of this deployment that nothing needs once it is done.
        obsolete_models: see there.
        obsolete_objects: see there.
    """

    desired: Desired
    wait_first: bool
    uploads: tuple[Upload, ...]
    models: tuple[Request, ...]
    config: Request | None
    unscale: tuple[str, ...]
    endpoint: EndpointAction
    retain_instance_counts: bool
    tags: dict[str, str]
    obsolete_configs: tuple[str, ...]
    obsolete_models: tuple[str, ...]
    obsolete_objects: tuple[StoredObject, ...]

    def steps(self) -> tuple[Step, ...]:
        """What would be done, in order; nothing if all is as it should be."""
        name = self.desired.endpoint
        wait = [Step("wait", "endpoint", name, "something is in progress")] if self.wait_first else []
        uploads = [Step("upload", "archive", one.uri, f"{one.archive.size:,} bytes") for one in self.uploads]
        models = [Step("create", "model", str(one["ModelName"])) for one in self.models]
        config = [Step("create", "endpoint configuration", self.desired.config_name)] if self.config else []
        unscale = [Step("remove", "scaling", f"{name}/{variant}") for variant in self.unscale]
        endpoint = [] if self.endpoint == "keep" else [Step(self.endpoint, "endpoint", name)]
        obsolete = [Step("delete", "endpoint configuration", config) for config in self.obsolete_configs]
        obsolete += [Step("delete", "model", model) for model in self.obsolete_models]
        obsolete += [Step("delete", "archive", f"s3://{bucket}/{key}") for bucket, key in self.obsolete_objects]
        tags = [Step("tag", "endpoint", name, ", ".join(sorted(self.tags)))] if self.tags else []
        return (*wait, *uploads, *models, *config, *unscale, *endpoint, *obsolete, *tags)


def make_plan(
    desired: Desired,
    existing: Existing,
    uploads: tuple[Upload, ...],
    present: frozenset[StoredObject],
    stored: frozenset[StoredObject],
    scaled: frozenset[str],
) -> Plan:
    """What has to be done to get from `existing` to `desired`.

    Args:
        desired: what is to be.
        existing: what there is.
        uploads: every archive that has to lie in S3.
        present: the objects of `uploads` that are there already, with the right content.
        stored: all objects that the deployment has in S3.
        scaled: names of the endpoint's variants that are scaled.
    """
    needed = frozenset((one.bucket, one.key) for one in uploads)
    variants = {variant["VariantName"] for variant in desired.config["ProductionVariants"]}
    action = _endpoint_action(desired, existing)
    return Plan(
        desired=desired,
        wait_first=existing.status in IN_PROGRESS,
        uploads=tuple(one for one in uploads if (one.bucket, one.key) not in present),
        models=tuple(model for model in desired.models if model["ModelName"] not in existing.models),
        config=None if desired.config_name in existing.configs else desired.config,
        unscale=tuple(sorted(scaled - variants)) if action == "update" else (),
        endpoint=action,
        retain_instance_counts=bool(scaled & variants),
        tags=_missing_tags(desired, existing) if action in ("keep", "update") else {},
        obsolete_configs=tuple(sorted(existing.configs - {desired.config_name})),
        obsolete_models=tuple(sorted(existing.models - set(desired.model_names))),
        obsolete_objects=tuple(sorted(stored - needed)),
    )


def _endpoint_action(desired: Desired, existing: Existing) -> EndpointAction:
    """What happens to the endpoint, once whatever is in progress has ended well."""
    if existing.status in (None, "Deleting"):
        return "create"
    if existing.status == "Failed":
        return "replace"
    return "keep" if existing.config_name == desired.config_name else "update"


def _missing_tags(desired: Desired, existing: Existing) -> dict[str, str]:
    return {key: value for key, value in desired.tags.items() if existing.tags.get(key) != value}
