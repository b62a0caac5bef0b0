"""The number of instances by load: Application Auto Scaling, target tracking on invocations per instance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from byoc.aws import Aws

__all__ = ["Scaling", "current", "scale", "unscale"]

_NAMESPACE: Any = "sagemaker"
_DIMENSION: Any = "sagemaker:variant:DesiredInstanceCount"
_POLICY = "triton-byoc-invocations-per-instance"


@dataclass(frozen=True)
class Scaling:
    """How a variant is scaled.

    Attributes:
        variant: its name.
        minimum: the least number of instances.
        maximum: the greatest number of instances.
        invocations_per_instance: requests per instance and minute that are aimed at; None if another policy decides.
        scale_in_cooldown: seconds to wait after instances were removed; None: SageMaker's default.
        scale_out_cooldown: seconds to wait after instances were added; None: SageMaker's default.
    """

    variant: str
    minimum: int
    maximum: int
    invocations_per_instance: float | None = None
    scale_in_cooldown: int | None = None
    scale_out_cooldown: int | None = None

    def __str__(self) -> str:
        """Some words for people."""
        aim = self.invocations_per_instance
        by = f" at {aim:g} invocations per instance and minute" if aim else ""
        return f"{self.minimum} to {self.maximum} instances{by}"

    def summary(self) -> dict[str, object]:
        """The scaling in JSON's types."""
        return asdict(self)


def _resource(endpoint: str, variant: str) -> str:
    return f"endpoint/{endpoint}/variant/{variant}"


def current(aws: Aws, endpoint: str, variants: Iterable[str]) -> dict[str, Scaling]:
    """How those of the `variants` that are scaled are, by name."""
    resources = {_resource(endpoint, variant): variant for variant in variants}
    if not resources:
        return {}
    targets = aws.autoscaling.describe_scalable_targets(
        ServiceNamespace=_NAMESPACE, ResourceIds=list(resources), ScalableDimension=_DIMENSION
    )["ScalableTargets"]
    return {
        name: _described(aws, endpoint, name, one["MinCapacity"], one["MaxCapacity"])
        for one in targets
        if (name := resources[one["ResourceId"]])
    }


def _described(aws: Aws, endpoint: str, variant: str, minimum: int, maximum: int) -> Scaling:
    policies = aws.autoscaling.describe_scaling_policies(**_target(endpoint, variant))["ScalingPolicies"]
    ours: Any = next((one for one in policies if one["PolicyName"] == _POLICY), {})
    tracking = ours.get("TargetTrackingScalingPolicyConfiguration", {})
    return Scaling(
        variant,
        minimum,
        maximum,
        tracking.get("TargetValue"),
        tracking.get("ScaleInCooldown"),
        tracking.get("ScaleOutCooldown"),
    )


def scale(aws: Aws, endpoint: str, wanted: Scaling) -> None:
    """Scale a variant between `wanted`'s bounds, by the load that it aims at."""
    target = _target(endpoint, wanted.variant)
    aws.autoscaling.register_scalable_target(**target, MinCapacity=wanted.minimum, MaxCapacity=wanted.maximum)
    cooldowns = {"ScaleInCooldown": wanted.scale_in_cooldown, "ScaleOutCooldown": wanted.scale_out_cooldown}
    tracking: Any = {
        "TargetValue": wanted.invocations_per_instance,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        **{name: seconds for name, seconds in cooldowns.items() if seconds is not None},
    }
    aws.autoscaling.put_scaling_policy(
        **target,
        PolicyName=_POLICY,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )


def unscale(aws: Aws, endpoint: str, variant: str) -> None:
    """Take the scaling from a scaled variant, its policies with it. It keeps the instances that it has by now."""
    target = _target(endpoint, variant)
    for policy in aws.autoscaling.describe_scaling_policies(**target)["ScalingPolicies"]:
        aws.autoscaling.delete_scaling_policy(**target, PolicyName=policy["PolicyName"])
    aws.autoscaling.deregister_scalable_target(**target)


def _target(endpoint: str, variant: str) -> dict[str, Any]:
    """What names a variant's number of instances to Application Auto Scaling."""
    return {
        "ServiceNamespace": _NAMESPACE,
        "ResourceId": _resource(endpoint, variant),
        "ScalableDimension": _DIMENSION,
    }
