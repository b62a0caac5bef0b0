"""The plan that leads from the existing to the desired state. Pure: calls nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from byoc.deployment.resources import Desired, Request
from byoc.deployment.state import Existing
from byoc.deployment.storage import Upload
from byoc.endpoint.description import IN_PROGRESS

__all__ = ["EndpointAction", "Plan", "Step", "StoredObject", "make_plan"]

EndpointAction = Literal["keep", "create", "update", "replace"]
StoredObject = tuple[str, str]  # bucket, key


@dataclass(frozen=True)
class Step:
    """One step of a plan, as it is printed."""

    action: str
    what: str
    name: str
    remark: str = ""

    def __str__(self) -> str:
        """One line."""
        return f"{self.action:8} {self.what:24} {self.name}{f'  ({self.remark})' if self.remark else ''}"

    def summary(self) -> dict[str, str]:
        """The step in JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """What to do, in this order.

    Attributes:
        desired: the desired state.
        wait_first: an operation on the endpoint is in progress, and has to end first.
        uploads: archives that are not in S3.
        models: models to create.
        config: the endpoint configuration to create; None if it exists.
        unscale: scaled variants that are removed.
        endpoint: what happens to the endpoint. A failed one can only be replaced.
        retain_instance_counts: a variant is scaled, so the update keeps the current number of instances.
        tags: tags to add to an existing endpoint.
        obsolete_configs: configurations of this deployment that are no longer needed afterwards.
        obsolete_models: models that are no longer needed.
        obsolete_objects: objects in S3 that are no longer needed.
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
        """The steps, in order; empty if there is nothing to do."""
        name = self.desired.endpoint
        wait = [Step("wait", "endpoint", name, "an operation is in progress")] if self.wait_first else []
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
    """The plan that leads from `existing` to `desired`.

    Args:
        desired: the desired state.
        existing: the existing state.
        uploads: every archive that has to be in S3.
        present: the objects of `uploads` that are there already, with the same content.
        stored: all objects of the deployment in S3.
        scaled: the names of the endpoint's scaled variants.
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
    """What happens to the endpoint, assuming that an operation in progress succeeds."""
    if existing.status in (None, "Deleting"):
        return "create"
    if existing.status == "Failed":
        return "replace"
    return "keep" if existing.config_name == desired.config_name else "update"


def _missing_tags(desired: Desired, existing: Existing) -> dict[str, str]:
    return {key: value for key, value in desired.tags.items() if existing.tags.get(key) != value}
