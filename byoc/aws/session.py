"""AWS, at one place: the session and its region, the account, the role, and what its errors mean for the user.

Nothing here keeps or prints a credential: boto3 finds them, signs with them and forgets them.
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore import exceptions as boto
from botocore.config import Config

from byoc.errors import AccessDeniedError, AwsError, ByocError, CredentialsError, NotFoundError, RegionError

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sts import STSClient

__all__ = ["Aws", "connect", "error_code", "explain"]

# A multi-model endpoint may take 60 s for its first answer; SageMaker asks for a client time-out of 70 s.
RUNTIME_READ_TIMEOUT_S = 70

_CREDENTIALS_REMEDY = "Run `aws configure`, set AWS_PROFILE, or pass --profile"
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_INVALID = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}


@dataclass(frozen=True)
class Aws:
    """A session in one region, and the clients made from it (each made once, when first asked for)."""

    session: boto3.Session
    region: str

    @functools.cached_property
    def s3(self) -> S3Client:
        """Object storage: model archives, asynchronous results."""
        return self.session.client("s3", region_name=self.region)

    @functools.cached_property
    def ecr(self) -> ECRClient:
        """The image registry."""
        return self.session.client("ecr", region_name=self.region)

    @functools.cached_property
    def iam(self) -> IAMClient:
        """Roles."""
        return self.session.client("iam", region_name=self.region)

    @functools.cached_property
    def sts(self) -> STSClient:
        """Who the caller is."""
        return self.session.client("sts", region_name=self.region)

    @functools.cached_property
    def sagemaker(self) -> SageMakerClient:
        """Models, endpoint configurations, endpoints."""
        return self.session.client("sagemaker", region_name=self.region)

    @functools.cached_property
    def runtime(self) -> SageMakerRuntimeClient:
        """Invocations. A request is sent once: who calls decides which failures are worth another try."""
        config = Config(read_timeout=RUNTIME_READ_TIMEOUT_S, retries={"mode": "standard", "total_max_attempts": 1})
        return self.session.client("sagemaker-runtime", region_name=self.region, config=config)

    @functools.cached_property
    def logs(self) -> CloudWatchLogsClient:
        """What the containers wrote."""
        return self.session.client("logs", region_name=self.region)

    @functools.cached_property
    def autoscaling(self) -> ApplicationAutoScalingClient:
        """The number of instances, by load."""
        return self.session.client("application-autoscaling", region_name=self.region)

    @functools.cached_property
    def account(self) -> str:
        """The caller's twelve-digit account id."""
        return self.sts.get_caller_identity()["Account"]

    @property
    def partition(self) -> str:
        """`aws`, `aws-cn`, `aws-us-gov`: the second part of every ARN."""
        return self.session.get_partition_for_region(self.region)

    def role_arn(self, role: str) -> str:
        """The ARN of `role`, which may be one already, else the name of a role of this account."""
        if role.startswith("arn:"):
            return role
        try:
            return self.iam.get_role(RoleName=role.rsplit("/", 1)[-1])["Role"]["Arn"]
        except boto.ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise
            remedy = "Create it with the policy in docs/iam.md, or give `role` the ARN of another."
            raise NotFoundError(f"role: there is no role named {role!r} in this account", remedy) from error


def connect(region: str | None = None, profile: str | None = None) -> Aws:
    """A session: `region` wins over AWS_REGION, AWS_DEFAULT_REGION and the profile's. Makes no call."""
    try:
        session = boto3.Session(profile_name=profile)
    except boto.ProfileNotFound as error:
        raise CredentialsError(f"--profile: {error}", "`aws configure list-profiles` lists those there are.") from error
    chosen = region or os.environ.get("AWS_REGION") or session.region_name
    if not chosen:
        remedy = "Pass --region, put `region:` into endpoint.yaml, or set AWS_REGION."
        raise RegionError("No AWS region is set", remedy)
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d+", chosen):
        raise RegionError(f"region: {chosen!r} is not the name of an AWS region", "An example of one is eu-west-1.")
    return Aws(session, chosen)


def error_code(error: boto.ClientError) -> str:
    """The AWS error code, such as `ValidationException`, of a refused call."""
    return str(error.response.get("Error", {}).get("Code", ""))


def explain(error: Exception) -> ByocError:
    """What an error of boto3 means for the user, with what to do about it."""
    if isinstance(error, boto.ClientError):
        return _explain_refusal(error)
    if isinstance(error, boto.NoRegionError):
        return RegionError("No AWS region is set", "Pass --region or set AWS_REGION.")
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError):
        return CredentialsError(f"No usable AWS credentials ({error})", f"{_CREDENTIALS_REMEDY}.")
    if isinstance(error, boto.SSOError | boto.TokenRetrievalError):
        return CredentialsError(f"The AWS sign-in has run out ({error})", "Run `aws sso login`, then try again.")
    if isinstance(error, S3UploadFailedError) and isinstance(error.__context__, boto.ClientError):
        return _explain_refusal(error.__context__)
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError):
        return AwsError(f"AWS cannot be reached: {error}", "Check the network, the proxy settings and the region.")
    return AwsError(f"{type(error).__name__}: {error}")


def _explain_refusal(error: boto.ClientError) -> ByocError:
    """`error` by its code. What AWS says of bad credentials stays unsaid: it may quote a session token."""
    code, message = error_code(error), str(error.response.get("Error", {}).get("Message", ""))
    if code in _EXPIRED:
        return CredentialsError("The AWS credentials have run out", "Sign in again (`aws sso login`), then try again.")
    if code in _INVALID:
        return CredentialsError(f"AWS does not accept the credentials ({code})", f"{_CREDENTIALS_REMEDY}.")
    if code in _DENIED:
        action = re.search(r"perform: ([\w-]+:\w+)", message)
        what = action.group(1) if action else error.operation_name
        remedy = "Ask for it to be allowed: docs/iam.md has the policy that each command needs."
        return AccessDeniedError(f"AWS does not let you do {what} ({message or code})", remedy)
    return AwsError(f"{error.operation_name}: {message or code} ({code})")
