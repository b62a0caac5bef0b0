"""The AWS session: its region, its clients, the account, and roles.

No credential is stored or printed: boto3 finds them and signs requests with them.
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore import exceptions as boto
from botocore.config import Config

from byoc.aws.errors import error_code
from byoc.errors import CredentialsError, NotFoundError, RegionError

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sts import STSClient

__all__ = ["Aws", "connect"]

# The first response of a multi-model endpoint may take 60 s; AWS recommends a client timeout of 70 s.
RUNTIME_READ_TIMEOUT_S = 70


@dataclass(frozen=True)
class Aws:
    """A session in one region, and its clients. Each client is created once, on first use."""

    session: boto3.Session
    region: str

    @functools.cached_property
    def s3(self) -> S3Client:
        """S3: model archives and asynchronous results."""
        return self.session.client("s3", region_name=self.region)

    @functools.cached_property
    def ecr(self) -> ECRClient:
        """ECR: container images."""
        return self.session.client("ecr", region_name=self.region)

    @functools.cached_property
    def iam(self) -> IAMClient:
        """IAM: roles."""
        return self.session.client("iam", region_name=self.region)

    @functools.cached_property
    def sts(self) -> STSClient:
        """STS: the caller's identity."""
        return self.session.client("sts", region_name=self.region)

    @functools.cached_property
    def sagemaker(self) -> SageMakerClient:
        """SageMaker: models, endpoint configurations and endpoints."""
        return self.session.client("sagemaker", region_name=self.region)

    @functools.cached_property
    def runtime(self) -> SageMakerRuntimeClient:
        """SageMaker's runtime: invocations. botocore does not retry them; the caller decides what to retry."""
        config = Config(read_timeout=RUNTIME_READ_TIMEOUT_S, retries={"mode": "standard", "total_max_attempts": 1})
        return self.session.client("sagemaker-runtime", region_name=self.region, config=config)

    @functools.cached_property
    def logs(self) -> CloudWatchLogsClient:
        """CloudWatch Logs: the containers' output."""
        return self.session.client("logs", region_name=self.region)

    @functools.cached_property
    def autoscaling(self) -> ApplicationAutoScalingClient:
        """Application Auto Scaling: the number of instances."""
        return self.session.client("application-autoscaling", region_name=self.region)

    @functools.cached_property
    def account(self) -> str:
        """The caller's 12-digit account ID."""
        return self.sts.get_caller_identity()["Account"]

    @property
    def partition(self) -> str:
        """The second part of every ARN: `aws`, `aws-cn` or `aws-us-gov`."""
        return self.session.get_partition_for_region(self.region)

    def role_arn(self, role: str) -> str:
        """The ARN of `role`: an ARN, or the name of a role in this account.

        Raises:
            NotFoundError: the account has no such role.
        """
        if role.startswith("arn:"):
            return role
        try:
            return self.iam.get_role(RoleName=role.rsplit("/", 1)[-1])["Role"]["Arn"]
        except boto.ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise
            remedy = "Create it with the policy in docs/iam.md, or set `role` to the ARN of another role."
            raise NotFoundError(f"role: this account has no role named {role!r}", remedy) from error


def connect(region: str | None = None, profile: str | None = None) -> Aws:
    """A session in `region`, or else in AWS_REGION, AWS_DEFAULT_REGION or the profile's region. Makes no call.

    Raises:
        CredentialsError: there is no such profile.
        RegionError: no region is set, or it is not a region.
    """
    try:
        session = boto3.Session(profile_name=profile)
    except boto.ProfileNotFound as error:
        raise CredentialsError(
            f"--profile: {error}", "List the profiles with `aws configure list-profiles`."
        ) from error
    chosen = region or os.environ.get("AWS_REGION") or session.region_name
    if not chosen:
        remedy = "Pass --region, set `region` in endpoint.yaml, or set AWS_REGION."
        raise RegionError("No AWS region is set", remedy)
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d+", chosen):
        raise RegionError(f"region: {chosen!r} is not the name of an AWS region", "Use a name such as eu-west-1.")
    return Aws(session, chosen)
