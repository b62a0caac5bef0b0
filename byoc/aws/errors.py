"""What the errors of boto3 mean to the user, and what to do about each."""

from __future__ import annotations

import re

from boto3.exceptions import S3UploadFailedError
from botocore import exceptions as boto

from byoc.errors import AccessDeniedError, AwsError, ByocError, CredentialsError, RegionError

__all__ = ["error_code", "error_message", "explain"]

_CREDENTIALS_REMEDY = "Run `aws configure`, set AWS_PROFILE, or pass --profile"
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_INVALID = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}


def error_code(error: boto.ClientError) -> str:
    """The AWS error code of a rejected call, such as `ValidationException`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def error_message(error: boto.ClientError) -> str:
    """The message that AWS sent with a rejected call."""
    return str(error.response.get("Error", {}).get("Message", ""))


def explain(error: Exception) -> ByocError:
    """The ByocError that says what an error of boto3 means, with a remedy."""
    if isinstance(error, boto.ClientError):
        return _explain_rejection(error)
    if isinstance(error, boto.NoRegionError):
        return RegionError("No AWS region is set", "Pass --region or set AWS_REGION.")
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError):
        return CredentialsError(f"No usable AWS credentials ({error})", f"{_CREDENTIALS_REMEDY}.")
    if isinstance(error, boto.SSOError | boto.TokenRetrievalError):
        return CredentialsError(f"The AWS sign-in has expired ({error})", "Run `aws sso login`, then try again.")
    if isinstance(error, S3UploadFailedError) and isinstance(error.__context__, boto.ClientError):
        return _explain_rejection(error.__context__)
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError):
        return AwsError(f"AWS cannot be reached: {error}", "Check the network, the proxy settings and the region.")
    return AwsError(f"{type(error).__name__}: {error}")


def _explain_rejection(error: boto.ClientError) -> ByocError:
    """Explain a rejected call by its error code. Messages about credentials are dropped: they may quote a token."""
    code, message = error_code(error), error_message(error)
    if code in _EXPIRED:
        return CredentialsError("The AWS credentials have expired", "Sign in again (`aws sso login`), then try again.")
    if code in _INVALID:
        return CredentialsError(f"AWS does not accept the credentials ({code})", f"{_CREDENTIALS_REMEDY}.")
    if code in _DENIED:
        action = re.search(r"perform: ([\w-]+:\w+)", message)
        what = action.group(1) if action else error.operation_name
        remedy = "Ask for permission: docs/iam.md has the policy that each command needs."
        return AccessDeniedError(f"You are not allowed to call {what} ({message or code})", remedy)
    return AwsError(f"{error.operation_name}: {message or code} ({code})")
