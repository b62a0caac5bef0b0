"""The status of an endpoint: state, variants, images, models, scaling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from byoc.aws import Aws
from byoc.endpoint import scaling
from byoc.endpoint.description import describe_existing_endpoint
from byoc.endpoint.scaling import Scaling

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        ContainerDefinitionOutputTypeDef,
        ProductionVariantOutputTypeDef,
        ProductionVariantSummaryTypeDef,
    )

__all__ = ["EndpointStatus", "VariantStatus", "status"]


@dataclass(frozen=True)
class VariantStatus:
    """A production variant and what it runs. Weights are relative."""

    name: str
    model: str
    image: str
    model_data: str
    instance_type: str
    instances: int
    desired_instances: int
    weight: float
    phases: tuple[str, ...]
    scaling: Scaling | None

    def lines(self) -> Iterator[str]:
        """The variant as lines of text."""
        instances = f"{self.instances}/{self.desired_instances} {self.instance_type}"
        yield "  ".join([f"  {self.name}", instances, f"weight {self.weight:g}", *self.phases])
        yield f"    image  {self.image}"
        yield f"    model  {self.model_data}"
        if self.scaling:
            yield f"    scaled {self.scaling}"


@dataclass(frozen=True)
class EndpointStatus:
    """An endpoint. `status` is SageMaker's EndpointStatus; `failure` the reason of the last failure, if any."""

    name: str
    arn: str
    status: str
    failure: str | None
    config: str | None
    created: datetime
    changed: datetime
    variants: tuple[VariantStatus, ...]

    def summary(self) -> dict[str, object]:
        """The status in JSON types, except for times."""
        return asdict(self)

    def __str__(self) -> str:
        """The status as lines of text."""
        lines = [f"{self.name}  {self.status}  since {self.changed:%Y-%m-%d %H:%M:%S %Z}"]
        if self.failure:
            lines.append(f"  {self.failure}")
        return "\n".join([*lines, *(line for one in self.variants for line in one.lines())])


def status(aws: Aws, endpoint: str) -> EndpointStatus:
    """The status of any endpoint, whether or not `byoc deploy` created it.

    Raises:
        NotFoundError: the endpoint does not exist.
    """
    described = describe_existing_endpoint(aws, endpoint)
    running = {one["VariantName"]: one for one in described.get("ProductionVariants", [])}
    scaled = scaling.current(aws, endpoint, running)
    config = described.get("EndpointConfigName")
    configured = _configured(aws, config) if config else {}
    return EndpointStatus(
        name=endpoint,
        arn=described["EndpointArn"],
        status=described["EndpointStatus"],
        failure=described.get("FailureReason"),
        config=config,
        created=described["CreationTime"],
        changed=described["LastModifiedTime"],
        variants=tuple(_variant(aws, one, running.get(name), scaled.get(name)) for name, one in configured.items()),
    )


def _configured(aws: Aws, config: str) -> dict[str, ProductionVariantOutputTypeDef]:
    variants = aws.sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    return {variant["VariantName"]: variant for variant in variants}


def _variant(
    aws: Aws,
    configured: ProductionVariantOutputTypeDef,
    running: ProductionVariantSummaryTypeDef | None,
    scaled: Scaling | None,
) -> VariantStatus:
    model = configured.get("ModelName", "")
    container = aws.sagemaker.describe_model(ModelName=model).get("PrimaryContainer", {})
    weight = configured.get("InitialVariantWeight", 0.0)
    return VariantStatus(
        name=configured["VariantName"],
        model=model,
        image=container.get("Image", ""),
        model_data=_model_data(container),
        instance_type=configured.get("InstanceType", ""),
        instances=running.get("CurrentInstanceCount", 0) if running else 0,
        desired_instances=running.get("DesiredInstanceCount", 0) if running else 0,
        weight=running.get("CurrentWeight", weight) if running else weight,
        phases=tuple(phase["Status"] for phase in running.get("VariantStatus", [])) if running else (),
        scaling=scaled,
    )


def _model_data(container: ContainerDefinitionOutputTypeDef) -> str:
    """The S3 address of a container's model: an archive, or a prefix of uncompressed files."""
    source = container.get("ModelDataSource")
    prefix = source["S3DataSource"]["S3Uri"] if source and "S3DataSource" in source else ""
    return container.get("ModelDataUrl", prefix)
