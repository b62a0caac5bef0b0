"""`byoc delete`: deleting everything that `byoc deploy` created for an endpoint, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from byoc.aws import Aws
from byoc.aws.s3 import abort_uploads, objects_if_any, remove, split_uri, unfinished_uploads
from byoc.deployment.plan import Step, StoredObject
from byoc.deployment.state import Existing, existing
from byoc.deployment.storage import location_of
from byoc.deployment.wait import WaitPolicy, settled
from byoc.endpoint import scaling
from byoc.endpoint.description import variant_names
from byoc.progress import SILENT, Progress

__all__ = ["Deletion", "delete", "plan_deletion"]


@dataclass(frozen=True)
class Deletion:
    """What there is to delete.

    Attributes:
        name: the endpoint's name.
        existing: the endpoint, its configurations and its models.
        scaled: its scaled variants.
        objects: its archives in S3.
        unfinished: bucket and prefix of every place with interrupted uploads.
    """

    name: str
    existing: Existing
    scaled: tuple[str, ...]
    objects: tuple[StoredObject, ...]
    unfinished: tuple[StoredObject, ...]

    def steps(self) -> tuple[Step, ...]:
        """What would be deleted, in order."""
        return (
            *(Step("remove", "scaling", f"{self.name}/{variant}") for variant in self.scaled),
            *([Step("delete", "endpoint", self.name, str(self.existing.status))] if self.existing.endpoint else []),
            *(Step("delete", "endpoint configuration", config) for config in sorted(self.existing.configs)),
            *(Step("delete", "archive", f"s3://{bucket}/{key}") for bucket, key in self.objects),
            *(Step("delete", "unfinished uploads", f"s3://{bucket}/{prefix}") for bucket, prefix in self.unfinished),
            *(Step("delete", "model", model) for model in sorted(self.existing.models)),
        )


def plan_deletion(aws: Aws, endpoint: str, upload_to: str | None = None) -> Deletion:
    """What there is to delete. Changes nothing.

    Args:
        aws: the session.
        endpoint: the endpoint's name.
        upload_to: where archives were uploaded to. Default: the places named in the tags of the remaining resources;
            without any, the default place.

    Raises:
        OwnershipError: the endpoint exists, but `byoc deploy` did not create it.
    """
    found = existing(aws, endpoint)
    places = {split_uri(place) for place in found.uploaded_to}
    if upload_to is not None or not places:
        location = location_of(aws, endpoint, upload_to)
        places.add((location.bucket, location.prefix))
    return Deletion(
        endpoint,
        found,
        scaled=tuple(scaling.current(aws, endpoint, variant_names(found.endpoint))),
        objects=tuple(
            (bucket, key) for bucket, prefix in sorted(places) for key, _ in objects_if_any(aws, bucket, prefix)
        ),
        unfinished=tuple(place for place in sorted(places) if any(unfinished_uploads(aws, *place))),
    )


def delete(aws: Aws, planned: Deletion, policy: WaitPolicy, *, progress: Progress = SILENT) -> None:
    """Carry out a deletion.

    Waits first for any operation in progress, because SageMaker would reject the deletion until then. Models are
    deleted last: if this is interrupted, their tags say where the archives are.

    Raises:
        DeploymentError: the endpoint took longer than `policy.timeout`.
    """
    for variant in planned.scaled:
        scaling.unscale(aws, planned.name, variant)
    if planned.existing.endpoint and settled(aws, planned.name, policy, progress):
        aws.sagemaker.delete_endpoint(EndpointName=planned.name)
        settled(aws, planned.name, policy, progress)
    for config in sorted(planned.existing.configs):
        aws.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    for bucket in sorted({bucket for bucket, _ in planned.objects}):
        remove(aws, bucket, [key for owner, key in planned.objects if owner == bucket])
    for bucket, prefix in planned.unfinished:
        abort_uploads(aws, bucket, prefix)
    for model in sorted(planned.existing.models):
        aws.sagemaker.delete_model(ModelName=model)
