"""What there is of a deployment in AWS. Only reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from byoc.aws import Aws, error_code
from byoc.deployment.resources import OWNER_TAG, UPLOAD_TAG, is_resource_name
from byoc.deployment.storage import Location, split_uri
from byoc.errors import OwnershipError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

__all__ = [
    "IN_PROGRESS",
    "Existing",
    "describe_endpoint",
    "existing",
    "multi_model_prefix",
    "owned_endpoint",
    "tags_of",
]

# In these states SageMaker refuses to change the endpoint; each ends by itself.
IN_PROGRESS = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})


@dataclass(frozen=True)
class Existing:
    """What there is.

    Attributes:
        endpoint: DescribeEndpoint's answer, or None.
        tags: the endpoint's tags.
        uploaded_to: `bucket/prefix/` of all places that archives were uploaded to.
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
        """SageMaker's EndpointStatus; None if there is no endpoint."""
        return self.endpoint["EndpointStatus"] if self.endpoint else None

    @property
    def config_name(self) -> str | None:
        """The configuration that the endpoint has; None if there is no endpoint, or if its creation failed early."""
        return self.endpoint.get("EndpointConfigName") if self.endpoint else None


def describe_endpoint(aws: Aws, endpoint: str) -> DescribeEndpointOutputTypeDef | None:
    """DescribeEndpoint's answer; None if there is no such endpoint."""
    try:
        return aws.sagemaker.describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if error_code(error) == "ValidationException" and "Could not find endpoint" in str(error):
            return None
        raise


def owned_endpoint(aws: Aws, endpoint: str) -> tuple[DescribeEndpointOutputTypeDef | None, dict[str, str]]:
    """DescribeEndpoint's answer with the endpoint's tags.

    Raises:
        OwnershipError: the endpoint exists, and `byoc deploy` did not make it.
    """
    described = describe_endpoint(aws, endpoint)
    if described is None:
        return None, {}
    tags = tags_of(aws, described["EndpointArn"])
    if tags.get(OWNER_TAG) != endpoint:
        remedy = "byoc leaves it alone: choose another name."
        raise OwnershipError(f"endpoint: {endpoint!r} exists, and `byoc deploy` did not make it", remedy)
    return described, tags


def existing(aws: Aws, endpoint: str) -> Existing:
    """What there is of the deployment; raises OwnershipError."""
    described, tags = owned_endpoint(aws, endpoint)
    models, configs = dict(_models(aws, endpoint)), dict(_configs(aws, endpoint))
    places = {one[UPLOAD_TAG] for one in (tags, *models.values(), *configs.values()) if UPLOAD_TAG in one}
    return Existing(described, tags, frozenset(places), frozenset(models), frozenset(configs))


def tags_of(aws: Aws, arn: str) -> dict[str, str]:
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
    """Name and tags of a resource, if its tag says that it is ours: names of other tools may look the same."""
    if is_resource_name(endpoint, name):
        tags = tags_of(aws, arn)
        if tags.get(OWNER_TAG) == endpoint:
            yield name, tags


def multi_model_prefix(aws: Aws, config_name: str | None, variant: str, location: Location) -> str | None:
    """The S3 prefix in `location` of the many models that `variant` serves; None if it does not serve such."""
    if config_name is None:
        return None
    config = aws.sagemaker.describe_endpoint_config(EndpointConfigName=config_name)
    model = next((one["ModelName"] for one in config["ProductionVariants"] if one["VariantName"] == variant), None)
    if model is None:
        return None
    container: Any = aws.sagemaker.describe_model(ModelName=model).get("PrimaryContainer", {})
    url = str(container.get("ModelDataUrl", "")) if container.get("Mode") == "MultiModel" else ""
    bucket, key = split_uri(url)
    return url if bucket == location.bucket and key.startswith(location.prefix) else None
