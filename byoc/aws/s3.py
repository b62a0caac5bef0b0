"""S3: addresses, listing and deleting objects, and unfinished multipart uploads."""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import ClientError

from byoc.aws.errors import error_code
from byoc.aws.session import Aws
from byoc.errors import AccessDeniedError

__all__ = [
    "MISSING",
    "abort_uploads",
    "objects",
    "objects_if_any",
    "remove",
    "split_uri",
    "unfinished_uploads",
]

# The error codes of a missing object; HEAD requests have no body, so they give the HTTP status instead.
MISSING = frozenset({"NoSuchKey", "404"})
_DELETE_BATCH = 1000  # the limit of DeleteObjects


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of `s3://bucket/key`."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def objects(aws: Aws, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Key and size in bytes of every object whose key starts with `prefix`."""
    for page in aws.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            yield entry["Key"], entry["Size"]


def objects_if_any(aws: Aws, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Like `objects`, but empty if the bucket does not exist."""
    try:
        yield from objects(aws, bucket, prefix)
    except ClientError as error:
        if error_code(error) != "NoSuchBucket":
            raise


def remove(aws: Aws, bucket: str, keys: list[str]) -> None:
    """Delete objects. Keys that do not exist are ignored.

    Raises:
        AccessDeniedError: S3 did not delete one of them.
    """
    for start in range(0, len(keys), _DELETE_BATCH):
        batch = keys[start : start + _DELETE_BATCH]
        response = aws.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in batch]})
        for failure in response.get("Errors", []):
            remedy = "Ask for s3:DeleteObject on the bucket: docs/iam.md has the policy."
            raise AccessDeniedError(f"s3://{bucket}/{failure.get('Key')}: {failure.get('Message')}", remedy)


def unfinished_uploads(aws: Aws, bucket: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Key and upload ID of every interrupted multipart upload below `prefix`. Their parts are billed until aborted."""
    try:
        for page in aws.s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
            yield from ((one["Key"], one["UploadId"]) for one in page.get("Uploads", []))
    except ClientError as error:
        if error_code(error) != "NoSuchBucket":
            raise


def abort_uploads(aws: Aws, bucket: str, prefix: str) -> None:
    """Delete the parts of every interrupted multipart upload below `prefix`."""
    for key, upload_id in unfinished_uploads(aws, bucket, prefix):
        aws.s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
