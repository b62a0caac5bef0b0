"""How an endpoint is doing: state, variants, images, models, scaling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from byoc.aws import Aws
from byoc.deployment.state import describe_endpoint
from byoc.endpoint import scaling
from byoc.endpoint.scaling import Scaling
from byoc.errors import NotFoundError

__all__ = ["EndpointStatus", "VariantStatus", "status"]


@dataclass(frozen=True)
class VariantStatus:
    """A production variant, with what runs on it. Weights are relative, counts are instances."""

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
        """Some lines for people."""
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
        """The status in types that JSON has, but for times."""
        return asdict(self)

    def __str__(self) -> str:
        """Some lines for people."""
        lines = [f"{self.name}  {self.status}  since {self.changed:%Y-%m-%d %H:%M:%S %Z}"]
        if self.failure:
            lines.append(f"  {self.failure}")
        return "\n".join([*lines, *(line for one in self.variants for line in one.lines())])


def status(aws: Aws, endpoint: str) -> EndpointStatus:
    """How `endpoint` is doing, whoever made it; raises NotFoundError."""
    described = describe_endpoint(aws, endpoint)
    if described is None:
        raise NotFoundError(f"There is no endpoint {endpoint!r} in {aws.region}", "`--region` asks another one.")
    running: dict[str, Any] = {one["VariantName"]: one for one in described.get("ProductionVariants", [])}
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
        variants=tuple(_variant(aws, one, running.get(name, {}), scaled.get(name)) for name, one in configured.items()),
    )


def _configured(aws: Aws, config: str) -> dict[str, Any]:
    variants = aws.sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    return {variant["VariantName"]: variant for variant in variants}


def _variant(aws: Aws, configured: Any, running: Any, scaled: Scaling | None) -> VariantStatus:
    model = aws.sagemaker.describe_model(ModelName=configured["ModelName"])
    container: Any = model.get("PrimaryContainer", {})
    source = container.get("ModelDataSource", {}).get("S3DataSource", {}).get("S3Uri", "")
    return VariantStatus(
        name=configured["VariantName"],
        model=configured["ModelName"],
        image=container.get("Image", ""),
        model_data=container.get("ModelDataUrl", source),
        instance_type=configured.get("InstanceType", ""),
        instances=running.get("CurrentInstanceCount", 0),
        desired_instances=running.get("DesiredInstanceCount", 0),
        weight=running.get("CurrentWeight", configured.get("InitialVariantWeight", 0)),
        phases=tuple(phase["Status"] for phase in running.get("VariantStatus", [])),
        scaling=scaled,
    )
