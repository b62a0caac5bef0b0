"""What errors of AWS and boto3 mean."""

from __future__ import annotations

import pytest
from botocore import exceptions as boto

from byoc.aws import error_code, explain
from byoc.errors import AccessDeniedError, AwsError, ByocError, CredentialsError, RegionError


def rejected(code: str, message: str = "no reason") -> boto.ClientError:
    return boto.ClientError({"Error": {"Code": code, "Message": message}}, "CreateModel")


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (rejected("ExpiredToken", "token-123"), CredentialsError, "The AWS credentials have expired. Sign in again"),
        (rejected("InvalidAccessKeyId", "token-123"), CredentialsError, "AWS does not accept the credentials"),
        (rejected("AccessDenied"), AccessDeniedError, "You are not allowed to call CreateModel (no reason)"),
        (
            rejected("AccessDenied", "User is not authorized to perform: iam:PassRole on x"),
            AccessDeniedError,
            "You are not allowed to call iam:PassRole",
        ),
        (rejected("ValidationException", "bad name"), AwsError, "CreateModel: bad name (ValidationException)"),
        (boto.NoRegionError(), RegionError, "No AWS region is set. Pass --region"),
        (boto.NoCredentialsError(), CredentialsError, "No usable AWS credentials"),
        (
            boto.EndpointConnectionError(endpoint_url="https://x"),
            AwsError,
            "AWS cannot be reached: Could not connect to the endpoint URL",
        ),
        (ValueError("other"), AwsError, "ValueError: other"),
    ],
)
def test_explained(error: Exception, kind: type[ByocError], text: str) -> None:
    explained = explain(error)
    assert type(explained) is kind
    assert text in str(explained)
    assert "token-123" not in str(explained)


def test_code_of_a_rejected_call() -> None:
    assert error_code(rejected("X")) == "X"
    assert error_code(boto.ClientError({}, "CreateModel")) == ""
