"""From a specification to a plan: looks up what it names, packs the models, and compares with what exists."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from byoc.archive import SingleModel
from byoc.aws import Aws
from byoc.aws.s3 import objects_if_any, split_uri
from byoc.deployment.inputs import ModelData, local_model_data, pinned_image, remote_model_data, single_model
from byoc.deployment.plan import Plan, StoredObject, make_plan
from byoc.deployment.resources import desired
from byoc.deployment.state import Existing, multi_model_prefix
from byoc.deployment.storage import Location, are_uploaded, check_bucket, location_of
from byoc.endpoint import scaling
from byoc.endpoint.description import variant_names
from byoc.endpoint.specification import Specification, Variant

__all__ = ["prepare"]


def prepare(aws: Aws, spec: Specification, found: Existing, scratch: Path) -> Plan:
    """The plan that leads from `found` to `spec`. Changes nothing in AWS; packs the archives to upload into `scratch`.

    Raises:
        ByocError: the deployment would certainly fail: the bucket, role, image or model does not exist, or `serve`
            would not load the model.
    """
    variants = spec.resolved()
    location = location_of(aws, spec.endpoint, spec.upload_to)
    images = {image: pinned_image(aws, image) for image in dict.fromkeys(str(one.image) for one in variants)}
    data = _model_data(aws, variants, location, found, scratch)
    wanted = desired(
        spec,
        aws.role_arn(spec.role),
        {one.name: images[str(one.image)] for one in variants},
        data,
        f"{location.bucket}/{location.prefix}",
    )
    uploads = tuple({one.uri: one for entry in data.values() for one in entry.uploads}.values())
    uploaded = zip(uploads, are_uploaded(aws, uploads), strict=True)
    present = frozenset((one.bucket, one.key) for one, is_uploaded in uploaded if is_uploaded)
    stored = frozenset(_stored(aws, found, location if uploads else None)) - set(_referenced(data))
    return make_plan(wanted, found, uploads, present, stored, _scaled(aws, found))


def _model_data(
    aws: Aws, variants: Iterable[Variant], location: Location, found: Existing, scratch: Path
) -> dict[str, ModelData]:
    """Variant name → model data. A model that several variants share is packed once."""
    by_source: dict[tuple[str | None, str | None, SingleModel], ModelData] = {}
    config = found.config_name if found.config_name in found.configs else None
    data = {}
    for index, variant in enumerate(variants):
        key = (variant.model, variant.models, single_model(variant.environment))
        if key not in by_source:
            remote = remote_model_data(variant, aws)
            if remote is None:
                check_bucket(aws, location)
                current = multi_model_prefix(aws, config, variant.name, location)
                (scratch / str(index)).mkdir()
                remote = local_model_data(variant, location, current, scratch / str(index), aws)
            by_source[key] = remote
        data[variant.name] = by_source[key]
    return data


def _stored(aws: Aws, found: Existing, location: Location | None) -> Iterable[StoredObject]:
    """All objects of the deployment, in the current and in earlier upload locations."""
    places = {split_uri(place) for place in found.uploaded_to}
    if location:
        places.add((location.bucket, location.prefix))
    for bucket, prefix in places:
        yield from ((bucket, key) for key, _ in objects_if_any(aws, bucket, prefix))


def _referenced(data: dict[str, ModelData]) -> Iterable[StoredObject]:
    """Objects that a variant refers to directly."""
    return (split_uri(entry.url) for entry in data.values() if not entry.uploads)


def _scaled(aws: Aws, found: Existing) -> frozenset[str]:
    """The names of the endpoint's scaled variants."""
    if found.endpoint is None:
        return frozenset()
    return frozenset(scaling.current(aws, found.endpoint["EndpointName"], variant_names(found.endpoint)))
