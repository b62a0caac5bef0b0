"""`byoc delete`: all that `byoc deploy` made for an endpoint, and only that."""

from __future__ import annotations

from dataclasses import dataclass

from byoc.aws import Aws
from byoc.deployment.plan import Step, StoredObject
from byoc.deployment.state import Existing, existing
from byoc.deployment.storage import abort_uploads, location_of, objects_if_any, remove, split_uri, unfinished_uploads
from byoc.deployment.wait import Patience, settled
from byoc.endpoint import scaling

__all__ = ["Deletion", "delete", "plan_deletion"]


@dataclass(frozen=True)
class Deletion:
    """What there is to delete.

    Attributes:
        name: the endpoint's name.
        existing: the endpoint, its configurations and its models.
        scaled: its variants that are scaled.
        objects: its archives in S3.
        unfinished: bucket and prefix of places with uploads that were killed midway.
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
    """What there is to delete. Calls nothing that writes.

    Args:
        aws: the session.
        endpoint: the endpoint's name.
        upload_to: where archives were uploaded to. Default: wherever the tags of what there is say, and if there is
            nothing, the default place.

    Raises:
        OwnershipError: the endpoint exists, and `byoc deploy` did not make it.
    """
    found = existing(aws, endpoint)
    variants = [one["VariantName"] for one in found.endpoint.get("ProductionVariants", [])] if found.endpoint else []
    places = {split_uri(place) for place in found.uploaded_to}
    if upload_to is not None or not places:
        location = location_of(aws, endpoint, upload_to)
        places.add((location.bucket, location.prefix))
    return Deletion(
        endpoint,
        found,
        scaled=tuple(scaling.current(aws, endpoint, variants)),
        objects=tuple(
            (bucket, key) for bucket, prefix in sorted(places) for key, _ in objects_if_any(aws, bucket, prefix)
        ),
        unfinished=tuple(place for place in sorted(places) if any(unfinished_uploads(aws, *place))),
    )


def delete(aws: Aws, planned: Deletion, patience: Patience) -> None:
    """Delete it. Raises DeploymentError if the endpoint takes longer than `patience` allows.

    What is in progress with the endpoint has to end first: SageMaker refuses to delete it until then. Models go last:
    their tags say where the archives are, should this be interrupted.
    """
    for variant in planned.scaled:
        scaling.unscale(aws, planned.name, variant)
    if planned.existing.endpoint and settled(aws, planned.name, patience):
        aws.sagemaker.delete_endpoint(EndpointName=planned.name)
        settled(aws, planned.name, patience)
    for config in sorted(planned.existing.configs):
        aws.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    for bucket in sorted({bucket for bucket, _ in planned.objects}):
        remove(aws, bucket, [key for owner, key in planned.objects if owner == bucket])
    for bucket, prefix in planned.unfinished:
        abort_uploads(aws, bucket, prefix)
    for model in sorted(planned.existing.models):
        aws.sagemaker.delete_model(ModelName=model)
