"""Waiting for an endpoint, and explaining its failures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from byoc.aws import Aws, explain
from byoc.endpoint.container_logs import tail
from byoc.endpoint.description import IN_PROGRESS, describe_endpoint
from byoc.errors import DeploymentError
from byoc.progress import Progress, Waiting

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

__all__ = ["WaitPolicy", "explain_failure", "settled"]

_LOG_LINES = 20
_CONTINUES = "It continues in AWS: run the same command to wait for it again."


@dataclass(frozen=True)
class WaitPolicy:
    """How often to poll the endpoint, and for how long, in seconds."""

    interval: float = 5.0
    timeout: float = 3600.0


def settled(aws: Aws, endpoint: str, policy: WaitPolicy, progress: Progress) -> DescribeEndpointOutputTypeDef | None:
    """Wait until nothing is in progress on the endpoint, and return its description; None if it is gone.

    Raises:
        DeploymentError: it took longer than `policy.timeout`. The operation continues in AWS.
    """
    try:
        with progress.waiting(f"{endpoint}: waiting") as waiting:
            return _settled(aws, endpoint, policy, waiting)
    except KeyboardInterrupt:
        progress.note(f"Interrupted. {_CONTINUES}")
        raise


def _settled(aws: Aws, endpoint: str, policy: WaitPolicy, waiting: Waiting) -> DescribeEndpointOutputTypeDef | None:
    began = time.monotonic()
    while True:
        described = describe_endpoint(aws, endpoint)
        if described is None or described["EndpointStatus"] not in IN_PROGRESS:
            return described
        elapsed = time.monotonic() - began
        waiting.show(f"{endpoint}: {_state(described)}", elapsed)
        if elapsed > policy.timeout:
            message = f"{endpoint} is still {described['EndpointStatus']} after {int(policy.timeout)} s"
            raise DeploymentError(message, _CONTINUES)
        time.sleep(policy.interval)


def _state(described: DescribeEndpointOutputTypeDef) -> str:
    """The endpoint's status, and the phases of its variants."""
    phases = [
        f"{variant['VariantName']} {phase['Status']}"
        for variant in described.get("ProductionVariants", [])
        for phase in variant.get("VariantStatus", [])
    ]
    return ", ".join([described["EndpointStatus"], *phases])


def explain_failure(aws: Aws, endpoint: str, message: str, reason: str | None) -> DeploymentError:
    """The error for a failed endpoint: SageMaker's reason, and the end of the containers' log."""
    suffix = f": {reason.rstrip('.')}" if reason else ""
    return DeploymentError(f"{message}{suffix}.\nThe last lines of the container's log:\n{_last_lines(aws, endpoint)}")


def _last_lines(aws: Aws, endpoint: str) -> str:
    """The end of the log. An error of CloudWatch must not hide why the endpoint failed."""
    try:
        lines = tail(aws, endpoint, _LOG_LINES)
    except (BotoCoreError, ClientError) as error:
        return f"  (the log cannot be read: {explain(error)})"
    return "\n".join(f"  {line}" for line in lines) or "  (none: the container did not start, or wrote nothing)"
