"""Waiting for an endpoint, with its state shown, and what a failure was about."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from byoc.aws import Aws, explain
from byoc.commands import terminal
from byoc.deployment.state import IN_PROGRESS, describe_endpoint
from byoc.endpoint.container_logs import tail
from byoc.errors import DeploymentError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

__all__ = ["Patience", "explain_failure", "settled"]

_LOG_LINES = 20
_GOES_ON = "It goes on in AWS: the same command waits for it again."


@dataclass(frozen=True)
class Patience:
    """How often the endpoint is looked at, and for how long: both in seconds."""

    interval: float = 5.0
    timeout: float = 3600.0


def settled(aws: Aws, endpoint: str, patience: Patience) -> DescribeEndpointOutputTypeDef | None:
    """The endpoint once nothing is in progress with it; None once it is gone.

    Raises:
        DeploymentError: it took longer than `patience` allows. What is in progress goes on.
    """
    try:
        with terminal.waiting(f"{endpoint}: waiting") as line:
            return _settled(aws, endpoint, patience, line)
    except KeyboardInterrupt:
        terminal.note(f"Interrupted. {_GOES_ON}")
        raise


def _settled(
    aws: Aws, endpoint: str, patience: Patience, line: terminal.Waiting
) -> DescribeEndpointOutputTypeDef | None:
    began = time.monotonic()
    while True:
        described = describe_endpoint(aws, endpoint)
        if described is None or described["EndpointStatus"] not in IN_PROGRESS:
            return described
        elapsed = time.monotonic() - began
        line.show(f"{endpoint}: {_progress(described)}", elapsed)
        if elapsed > patience.timeout:
            message = f"{endpoint} is still {described['EndpointStatus']} after {int(patience.timeout)} s"
            raise DeploymentError(message, _GOES_ON)
        time.sleep(patience.interval)


def _progress(described: DescribeEndpointOutputTypeDef) -> str:
    """The endpoint's state, and what SageMaker tells of its variants."""
    phases = [
        f"{variant['VariantName']} {phase['Status']}"
        for variant in described.get("ProductionVariants", [])
        for phase in variant.get("VariantStatus", [])
    ]
    return ", ".join([described["EndpointStatus"], *phases])


def explain_failure(aws: Aws, endpoint: str, message: str, reason: str | None) -> DeploymentError:
    """The error for a failed endpoint: SageMaker's reason, and the last lines of the containers' log."""
    why = f": {reason.rstrip('.')}" if reason else ""
    return DeploymentError(f"{message}{why}.\nThe last lines of the container's log:\n{_last_lines(aws, endpoint)}")


def _last_lines(aws: Aws, endpoint: str) -> str:
    """The end of the log. That it cannot be read must not hide why the endpoint failed."""
    try:
        lines = tail(aws, endpoint, _LOG_LINES)
    except (BotoCoreError, ClientError) as error:
        return f"  (it cannot be read: {explain(error)})"
    return "\n".join(f"  {line}" for line in lines) or "  (none: the container did not start, or wrote nothing)"
