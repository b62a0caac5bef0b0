"""The existing state of a deployment in AWS. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from byoc.aws import Aws
from byoc.aws.s3 import split_uri
from byoc.deployment.resources import OWNER_TAG, UPLOAD_TAG, is_resource_name
from byoc.deployment.storage import Location
from byoc.endpoint.description import describe_endpoint
from byoc.errors import OwnershipError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

__all__ = ["Existing", "existing", "multi_model_prefix", "owned_endpoint"]


@dataclass(frozen=True)
class Existing:
    """The existing state.

    Attributes:
        endpoint: the response of DescribeEndpoint; None if the endpoint does not exist.
        tags: the endpoint's tags.
        uploaded_to: `bucket/prefix/` of every place that archives were uploaded to.
        models: the names of the deployment's models.
        configs: the names of its endpoint configurations.
    """

    endpoint: DescribeEndpointOutputTypeDef | None
    tags: dict[str, str]
    uploaded_to: frozenset[str]
    models: frozenset[str]
    configs: frozenset[str]

    @property
    def status(self) -> str | None:
        """SageMaker's EndpointStatus; None if the endpoint does not exist."""
        return self.endpoint["EndpointStatus"] if self.endpoint else None

    @property
    def config_name(self) -> str | None:
        """The endpoint's configuration; None if the endpoint does not exist, or if its creation failed early."""
        return self.endpoint.get("EndpointConfigName") if self.endpoint else None


def owned_endpoint(aws: Aws, endpoint: str) -> tuple[DescribeEndpointOutputTypeDef | None, dict[str, str]]:
    """The response of DescribeEndpoint, and the endpoint's tags; None and {} if it does not exist.

    Raises:
        OwnershipError: the endpoint exists, but `byoc deploy` did not create it.
    """
    described = describe_endpoint(aws, endpoint)
    if described is None:
        return None, {}
    tags = _tags(aws, described["EndpointArn"])
    if tags.get(OWNER_TAG) != endpoint:
        remedy = "byoc does not change such endpoints: choose another name."
        raise OwnershipError(f"endpoint: {endpoint!r} exists, but `byoc deploy` did not create it", remedy)
    return described, tags


def existing(aws: Aws, endpoint: str) -> Existing:
    """The existing state of the deployment.

    Raises:
        OwnershipError: the endpoint exists, but `byoc deploy` did not create it.
    """
    described, tags = owned_endpoint(aws, endpoint)
    models, configs = dict(_models(aws, endpoint)), dict(_configs(aws, endpoint))
    places = {one[UPLOAD_TAG] for one in (tags, *models.values(), *configs.values()) if UPLOAD_TAG in one}
    return Existing(described, tags, frozenset(places), frozenset(models), frozenset(configs))


def _tags(aws: Aws, arn: str) -> dict[str, str]:
    """The tags of a SageMaker resource."""
    pages = aws.sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}


def _models(aws: Aws, endpoint: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and tags of each model of the deployment."""
    for page in aws.sagemaker.get_paginator("list_models").paginate(NameContains=f"{endpoint}-"):
        for entry in page["Models"]:
            yield from _if_ours(aws, endpoint, entry["ModelName"], entry["ModelArn"])


def _configs(aws: Aws, endpoint: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and tags of each endpoint configuration of the deployment."""
    for page in aws.sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=f"{endpoint}-"):
        for entry in page["EndpointConfigs"]:
            yield from _if_ours(aws, endpoint, entry["EndpointConfigName"], entry["EndpointConfigArn"])


def _if_ours(aws: Aws, endpoint: str, name: str, arn: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and tags of a resource, if it has our tag: resources of other tools may have similar names."""
    if is_resource_name(endpoint, name):
        tags = _tags(aws, arn)
        if tags.get(OWNER_TAG) == endpoint:
            yield name, tags


def multi_model_prefix(aws: Aws, config_name: str | None, variant: str, location: Location) -> str | None:
    """The S3 prefix in `location` from which `variant` serves many models; None if it does not."""
    if config_name is None:
        return None
    config = aws.sagemaker.describe_endpoint_config(EndpointConfigName=config_name)
    model = next((one.get("ModelName") for one in config["ProductionVariants"] if one["VariantName"] == variant), None)
    if model is None:
        return None
    container = aws.sagemaker.describe_model(ModelName=model).get("PrimaryContainer", {})
    url = container.get("ModelDataUrl", "") if container.get("Mode") == "MultiModel" else ""
    bucket, key = split_uri(url)
    return url if bucket == location.bucket and key.startswith(location.prefix) else None
