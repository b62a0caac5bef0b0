"""Looking up an endpoint in SageMaker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from byoc.aws import Aws, error_code
from byoc.errors import NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

__all__ = ["IN_PROGRESS", "describe_endpoint", "describe_existing_endpoint", "variant_names"]

# In these states SageMaker rejects changes to the endpoint. None of them is final.
IN_PROGRESS = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})


def describe_endpoint(aws: Aws, endpoint: str) -> DescribeEndpointOutputTypeDef | None:
    """The response of DescribeEndpoint; None if the endpoint does not exist."""
    try:
        return aws.sagemaker.describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if error_code(error) == "ValidationException" and "Could not find endpoint" in str(error):
            return None
        raise


def describe_existing_endpoint(aws: Aws, endpoint: str) -> DescribeEndpointOutputTypeDef:
    """The response of DescribeEndpoint.

    Raises:
        NotFoundError: the endpoint does not exist.
    """
    described = describe_endpoint(aws, endpoint)
    if described is None:
        raise NotFoundError(f"There is no endpoint {endpoint!r} in {aws.region}", "Check the name and --region.")
    return described


def variant_names(described: DescribeEndpointOutputTypeDef | None) -> list[str]:
    """The names of an endpoint's production variants; empty if it does not exist or has none."""
    return [one["VariantName"] for one in described.get("ProductionVariants", [])] if described else []
