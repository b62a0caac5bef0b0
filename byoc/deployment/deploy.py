"""`byoc deploy`: from a specification to an endpoint in service.

Resources are named by their content, and the existing ones are looked up before any is created. An interrupted
deployment therefore continues when it is started again, and a complete one does nothing.
"""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from byoc.aws import Aws
from byoc.aws.s3 import abort_uploads, remove
from byoc.deployment.plan import Plan
from byoc.deployment.prepare import prepare
from byoc.deployment.resources import tag_list
from byoc.deployment.state import Existing, existing
from byoc.deployment.storage import Upload, upload
from byoc.deployment.wait import WaitPolicy, explain_failure, settled
from byoc.endpoint import scaling
from byoc.endpoint.description import IN_PROGRESS, describe_endpoint
from byoc.endpoint.specification import Specification
from byoc.progress import SILENT, Progress

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import VariantPropertyTypeDef

__all__ = ["Outcome", "deploy", "plan_only"]


class _Retained(TypedDict, total=False):
    RetainAllVariantProperties: bool
    ExcludeRetainedVariantProperties: list[VariantPropertyTypeDef]


@dataclass(frozen=True)
class Outcome:
    """The result of a deployment: the plan that was carried out, and the endpoint's status afterwards."""

    plan: Plan
    status: str


def plan_only(aws: Aws, spec: Specification, *, progress: Progress = SILENT) -> Plan:
    """The plan that `deploy` would carry out. Changes nothing.

    Args:
        aws: the session, in the endpoint's region.
        spec: the specification of the endpoint.
        progress: receives the warnings about models.

    Raises:
        ByocError: the deployment would certainly fail.
    """
    with tempfile.TemporaryDirectory(prefix="byoc-") as scratch:
        plan = prepare(aws, spec, existing(aws, spec.endpoint), Path(scratch))
    _warn(plan, progress)
    return plan


def deploy(
    aws: Aws, spec: Specification, policy: WaitPolicy, *, wait: bool = True, progress: Progress = SILENT
) -> Outcome:
    """Create or update the endpoint as `spec` says, and wait until it is in service.

    Args:
        aws: the session, in the endpoint's region.
        spec: the specification of the endpoint.
        policy: how long to wait.
        wait: False returns as soon as SageMaker has begun. Obsolete resources are then deleted by the next run.
        progress: receives notes, transfers and waits.

    Raises:
        DeploymentError: the endpoint failed; the message has the reason and the end of the log. After a failed update,
            the endpoint keeps serving the previous version.
        ByocError: the endpoint could not be created or updated.
    """
    found = existing(aws, spec.endpoint)
    if found.status in IN_PROGRESS:
        settled(aws, spec.endpoint, policy, progress)
        found = existing(aws, spec.endpoint)
    with tempfile.TemporaryDirectory(prefix="byoc-") as scratch:
        plan = prepare(aws, spec, found, Path(scratch))
        _warn(plan, progress)
        _upload(aws, plan.uploads, progress)
    _create_resources(aws, plan)
    _change_endpoint(aws, plan, policy, progress)
    if not wait:
        described = describe_endpoint(aws, spec.endpoint)
        return Outcome(plan, described["EndpointStatus"] if described else "Deleting")
    _wait_until_in_service(aws, plan, policy, progress)
    _clean_up(aws, plan, found)
    return Outcome(plan, "InService")


def _warn(plan: Plan, progress: Progress) -> None:
    """Report the warnings about the archives to upload."""
    for archive in (one.archive for one in plan.uploads):
        for warning in archive.warnings:
            progress.note(f"warning: {archive.path.name}: {warning}")


def _upload(aws: Aws, uploads: tuple[Upload, ...], progress: Progress) -> None:
    if not uploads:
        return
    with progress.transfers() as transfers:
        for one in uploads:
            transfers.begin(one.uri, one.archive.size)
            upload(aws, one, functools.partial(transfers.advance, one.uri))
            transfers.end(one.uri, "uploaded")
    for bucket, prefix in {(one.bucket, one.key.rsplit("/", 2)[0] + "/") for one in uploads}:
        abort_uploads(aws, bucket, prefix)


def _create_resources(aws: Aws, plan: Plan) -> None:
    for model in plan.models:
        aws.sagemaker.create_model(**model)
    if plan.config:
        aws.sagemaker.create_endpoint_config(**plan.config)


def _change_endpoint(aws: Aws, plan: Plan, policy: WaitPolicy, progress: Progress) -> None:
    """Create, replace or update the endpoint, without waiting for it. Replacing waits until the old one is gone."""
    name, config = plan.desired.endpoint, plan.desired.config_name
    for variant in plan.unscale:
        scaling.unscale(aws, name, variant)
    if plan.endpoint == "replace":
        aws.sagemaker.delete_endpoint(EndpointName=name)
        settled(aws, name, policy, progress)
    if plan.endpoint in ("create", "replace"):
        aws.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tag_list(plan.desired.tags))
    elif plan.endpoint == "update":
        aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, **_retained(plan))


def _retained(plan: Plan) -> _Retained:
    """A scaled endpoint keeps its current number of instances; weights and data capture are as configured."""
    if not plan.retain_instance_counts:
        return {}
    return {
        "RetainAllVariantProperties": True,
        "ExcludeRetainedVariantProperties": [
            {"VariantPropertyType": "DesiredWeight"},
            {"VariantPropertyType": "DataCaptureConfig"},
        ],
    }


def _wait_until_in_service(aws: Aws, plan: Plan, policy: WaitPolicy, progress: Progress) -> None:
    """Wait until the endpoint serves what was planned; raises DeploymentError."""
    name = plan.desired.endpoint
    described = settled(aws, name, policy, progress)
    if described is None:
        raise explain_failure(aws, name, f"{name} no longer exists: it was deleted meanwhile", None)
    reason = described.get("FailureReason")
    if described["EndpointStatus"] != "InService":
        raise explain_failure(aws, name, f"{name} is {described['EndpointStatus']}", reason)
    if described["EndpointConfigName"] != plan.desired.config_name:
        message = f"The update of {name} failed; it still serves the previous version"
        raise explain_failure(aws, name, message, reason)


def _clean_up(aws: Aws, plan: Plan, found: Existing) -> None:
    """Delete what is obsolete. Tags come last: they say where there may be something left to delete."""
    for config in plan.obsolete_configs:
        aws.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    for model in plan.obsolete_models:
        aws.sagemaker.delete_model(ModelName=model)
    for bucket in sorted({bucket for bucket, _ in plan.obsolete_objects}):
        remove(aws, bucket, [key for owner, key in plan.obsolete_objects if owner == bucket])
    if plan.tags and found.endpoint:
        aws.sagemaker.add_tags(ResourceArn=found.endpoint["EndpointArn"], Tags=tag_list(plan.tags))
