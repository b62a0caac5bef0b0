"""`byoc deploy`: from a specification to an endpoint that serves it.

Everything is named by its content, and what exists is looked at before anything is made. So a deployment that was
interrupted anywhere goes on from there when it is started again, and one that is complete does nothing.
"""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byoc.aws import Aws
from byoc.commands import terminal
from byoc.deployment.plan import Plan
from byoc.deployment.prepare import prepare
from byoc.deployment.resources import tag_list
from byoc.deployment.state import IN_PROGRESS, Existing, describe_endpoint, existing
from byoc.deployment.storage import Upload, abort_uploads, remove, upload
from byoc.deployment.wait import Patience, explain_failure, settled
from byoc.endpoint import scaling
from byoc.endpoint.specification import Specification

__all__ = ["Outcome", "deploy", "plan_only"]


@dataclass(frozen=True)
class Outcome:
    """What a deployment came to: the plan that it carried out, and the endpoint's status then."""

    plan: Plan
    status: str


def plan_only(aws: Aws, spec: Specification) -> Plan:
    """What `deploy` would do. Calls nothing that writes; raises ByocError for what would fail for sure."""
    with tempfile.TemporaryDirectory(prefix="byoc-") as scratch:
        return prepare(aws, spec, existing(aws, spec.endpoint), Path(scratch))


def deploy(aws: Aws, spec: Specification, patience: Patience, *, wait: bool = True) -> Outcome:
    """Make the endpoint what `spec` says, and wait until it serves.

    Args:
        aws: the session, in the endpoint's region.
        spec: what is to be.
        patience: how long to wait.
        wait: False returns as soon as SageMaker has begun; what the change makes obsolete then stays for the next run.

    Raises:
        DeploymentError: the endpoint failed, with the reason and the end of the log. After an update that failed the
            endpoint serves what it served before.
        ByocError: anything else that kept it from being made.
    """
    found = existing(aws, spec.endpoint)
    if found.status in IN_PROGRESS:
        settled(aws, spec.endpoint, patience)
        found = existing(aws, spec.endpoint)
    with tempfile.TemporaryDirectory(prefix="byoc-") as scratch:
        plan = prepare(aws, spec, found, Path(scratch))
        _upload(aws, plan.uploads)
    _create_resources(aws, plan)
    _change_endpoint(aws, plan, patience)
    if not wait:
        described = describe_endpoint(aws, spec.endpoint)
        return Outcome(plan, described["EndpointStatus"] if described else "Deleting")
    _serving(aws, plan, patience)
    _clean_up(aws, plan, found)
    return Outcome(plan, "InService")


def _upload(aws: Aws, uploads: tuple[Upload, ...]) -> None:
    if not uploads:
        return
    with terminal.transfers() as shown:
        for one in uploads:
            shown.begin(one.uri, one.archive.size)
            upload(aws, one, functools.partial(shown.advance, one.uri))
            shown.end(one.uri, "uploaded")
    for bucket, prefix in {(one.bucket, one.key.rsplit("/", 2)[0] + "/") for one in uploads}:
        abort_uploads(aws, bucket, prefix)


def _create_resources(aws: Aws, plan: Plan) -> None:
    for model in plan.models:
        aws.sagemaker.create_model(**model)
    if plan.config:
        aws.sagemaker.create_endpoint_config(**plan.config)


def _change_endpoint(aws: Aws, plan: Plan, patience: Patience) -> None:
    """Create, replace or update the endpoint; it is not waited for, except for a failed one to be gone."""
    name, config = plan.desired.endpoint, plan.desired.config_name
    for variant in plan.unscale:
        scaling.unscale(aws, name, variant)
    if plan.endpoint == "replace":
        aws.sagemaker.delete_endpoint(EndpointName=name)
        settled(aws, name, patience)
    if plan.endpoint in ("create", "replace"):
        aws.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tag_list(plan.desired.tags))
    elif plan.endpoint == "update":
        aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, **_retained(plan))


def _retained(plan: Plan) -> dict[str, Any]:
    """Of what a scaled endpoint has come to since it was made, the update keeps the instances, nothing else."""
    if not plan.retain_instance_counts:
        return {}
    reset = ("DesiredWeight", "DataCaptureConfig")
    excluded = [{"VariantPropertyType": kind} for kind in reset]
    return {"RetainAllVariantProperties": True, "ExcludeRetainedVariantProperties": excluded}


def _serving(aws: Aws, plan: Plan, patience: Patience) -> None:
    """Wait until the endpoint serves what was planned; raises DeploymentError."""
    name = plan.desired.endpoint
    described = settled(aws, name, patience)
    if described is None:
        raise explain_failure(aws, name, f"{name} is gone: somebody deleted it", None)
    reason = described.get("FailureReason")
    if described["EndpointStatus"] != "InService":
        raise explain_failure(aws, name, f"{name} is {described['EndpointStatus']}", reason)
    if described["EndpointConfigName"] != plan.desired.config_name:
        message = f"The update of {name} failed; it serves what it served before"
        raise explain_failure(aws, name, message, reason)


def _clean_up(aws: Aws, plan: Plan, found: Existing) -> None:
    """Remove what nothing needs any more. The tags come last: they say where there may be something to remove."""
    for config in plan.obsolete_configs:
        aws.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    for model in plan.obsolete_models:
        aws.sagemaker.delete_model(ModelName=model)
    for bucket in sorted({bucket for bucket, _ in plan.obsolete_objects}):
        remove(aws, bucket, [key for owner, key in plan.obsolete_objects if owner == bucket])
    if plan.tags and found.endpoint:
        aws.sagemaker.add_tags(ResourceArn=found.endpoint["EndpointArn"], Tags=tag_list(plan.tags))
