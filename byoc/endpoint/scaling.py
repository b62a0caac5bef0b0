"""Scaling the number of instances with Application Auto Scaling: target tracking on requests per instance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

from byoc.aws import Aws
from byoc.errors import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling.type_defs import TargetTrackingScalingPolicyConfigurationTypeDef

__all__ = ["Scaling", "current", "scale", "unscale"]

_NAMESPACE: Literal["sagemaker"] = "sagemaker"
_DIMENSION: Literal["sagemaker:variant:DesiredInstanceCount"] = "sagemaker:variant:DesiredInstanceCount"
_POLICY = "triton-byoc-invocations-per-instance"


class _Target(TypedDict):
    """How Application Auto Scaling names a variant's number of instances."""

    ServiceNamespace: Literal["sagemaker"]
    ResourceId: str
    ScalableDimension: Literal["sagemaker:variant:DesiredInstanceCount"]


@dataclass(frozen=True)
class Scaling:
    """How a variant is scaled.

    Attributes:
        variant: its name.
        minimum: minimum number of instances.
        maximum: maximum number of instances.
        invocations_per_instance: target requests per instance per minute; None if only another policy scales it.
        scale_in_cooldown: seconds between removing instances; None: SageMaker's default.
        scale_out_cooldown: seconds between adding instances; None: SageMaker's default.
    """

    variant: str
    minimum: int
    maximum: int
    invocations_per_instance: float | None = None
    scale_in_cooldown: int | None = None
    scale_out_cooldown: int | None = None

    def __str__(self) -> str:
        """A short description for people."""
        target = self.invocations_per_instance
        suffix = f", target {target:g} requests per instance per minute" if target else ""
        return f"{self.minimum} to {self.maximum} instances{suffix}"

    def summary(self) -> dict[str, object]:
        """The scaling in JSON types."""
        return asdict(self)


def _resource(endpoint: str, variant: str) -> str:
    return f"endpoint/{endpoint}/variant/{variant}"


def current(aws: Aws, endpoint: str, variants: Iterable[str]) -> dict[str, Scaling]:
    """Variant name → its scaling, for those of `variants` that are scaled."""
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
    ours = next((one for one in policies if one["PolicyName"] == _POLICY), None)
    tracking = ours.get("TargetTrackingScalingPolicyConfiguration") if ours else None
    if tracking is None:
        return Scaling(variant, minimum, maximum)
    return Scaling(
        variant,
        minimum,
        maximum,
        tracking.get("TargetValue"),
        tracking.get("ScaleInCooldown"),
        tracking.get("ScaleOutCooldown"),
    )


def scale(aws: Aws, endpoint: str, wanted: Scaling) -> None:
    """Scale a variant between `wanted.minimum` and `wanted.maximum`, towards its target.

    Raises:
        ConfigurationError: it has no target.
    """
    target, tracking = _target(endpoint, wanted.variant), _tracking(wanted)
    aws.autoscaling.register_scalable_target(**target, MinCapacity=wanted.minimum, MaxCapacity=wanted.maximum)
    aws.autoscaling.put_scaling_policy(
        **target,
        PolicyName=_POLICY,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )


def _tracking(wanted: Scaling) -> TargetTrackingScalingPolicyConfigurationTypeDef:
    if wanted.invocations_per_instance is None:
        raise ConfigurationError(f"{wanted.variant}: scaling has no target", "Set invocations_per_instance.")
    tracking: TargetTrackingScalingPolicyConfigurationTypeDef = {
        "TargetValue": wanted.invocations_per_instance,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    }
    if wanted.scale_in_cooldown is not None:
        tracking["ScaleInCooldown"] = wanted.scale_in_cooldown
    if wanted.scale_out_cooldown is not None:
        tracking["ScaleOutCooldown"] = wanted.scale_out_cooldown
    return tracking


def unscale(aws: Aws, endpoint: str, variant: str) -> None:
    """Stop scaling a variant, and delete its scaling policies. It keeps its current number of instances."""
    target = _target(endpoint, variant)
    for policy in aws.autoscaling.describe_scaling_policies(**target)["ScalingPolicies"]:
        aws.autoscaling.delete_scaling_policy(**target, PolicyName=policy["PolicyName"])
    aws.autoscaling.deregister_scalable_target(**target)


def _target(endpoint: str, variant: str) -> _Target:
    return {
        "ServiceNamespace": _NAMESPACE,
        "ResourceId": _resource(endpoint, variant),
        "ScalableDimension": _DIMENSION,
    }
