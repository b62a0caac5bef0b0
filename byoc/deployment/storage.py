"""The S3 side of a deployment: where its archives lie, which are there, uploading and removing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from byoc.archive import Archive
from byoc.aws import Aws, error_code
from byoc.errors import AccessDeniedError, NotFoundError, RegionError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = [
    "Location",
    "Upload",
    "abort_uploads",
    "check_bucket",
    "is_there",
    "location_of",
    "objects",
    "objects_if_any",
    "remove",
    "split_uri",
    "unfinished_uploads",
    "upload",
]

_DIGEST_KEY = "sha256"
_DIGEST_LENGTH = 16
_DELETE_AT_ONCE = 1000
_CONNECTIONS = 10  # botocore keeps as many open


@dataclass(frozen=True)
class Location:
    """Where a deployment's objects lie: all below `prefix`, which ends with `/`, and nobody else's are there."""

    bucket: str
    prefix: str
    owner: str | None = None

    def key(self, digest: str, name: str) -> str:
        """The key of an object called `name` with content `digest`."""
        return f"{self.prefix}{digest[:_DIGEST_LENGTH]}/{name}"

    @property
    def uri(self) -> str:
        """`s3://bucket/prefix/`."""
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True)
class Upload:
    """An archive and the object it is to be."""

    archive: Archive
    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of `s3://bucket/key`."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def location_of(aws: Aws, endpoint: str, upload_to: str | None) -> Location:
    """Where the objects of `endpoint` lie: below `upload_to`, by default in the account's SageMaker bucket.

    The default bucket's name can be guessed, so it counts only if this account owns it.
    """
    if upload_to is None:
        return Location(f"sagemaker-{aws.region}-{aws.account}", f"triton-byoc/{endpoint}/", owner=aws.account)
    bucket, prefix = split_uri(upload_to.rstrip("/"))
    return Location(bucket, f"{prefix}/{endpoint}/" if prefix else f"{endpoint}/")


def check_bucket(aws: Aws, location: Location) -> None:
    """Raise NotFoundError, AccessDeniedError or RegionError if archives cannot go to `location`."""
    expected = {"ExpectedBucketOwner": location.owner} if location.owner else {}
    try:
        region = aws.s3.head_bucket(Bucket=location.bucket, **expected).get("BucketRegion", aws.region)
    except ClientError as error:
        if error_code(error) == "404":
            remedy = f"Make it: `aws s3 mb s3://{location.bucket} --region {aws.region}`, or name another: `upload_to`."
            raise NotFoundError(f"upload_to: there is no bucket {location.bucket!r}", remedy) from error
        if error_code(error) == "403":
            remedy = "Ask for s3:ListBucket, s3:GetObject and s3:PutObject on it, or name another: `upload_to`."
            raise AccessDeniedError(f"upload_to: you may not use bucket {location.bucket!r}", remedy) from error
        raise
    if region != aws.region:
        remedy = "Name a bucket in the endpoint's region: `upload_to`."
        raise RegionError(f"upload_to: bucket {location.bucket!r} is in {region}, not in {aws.region}", remedy)


def objects(aws: Aws, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Key and size in bytes of every object below `prefix`."""
    for page in aws.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            yield entry["Key"], entry["Size"]


def objects_if_any(aws: Aws, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    """The same as `objects`; nothing if there is no such bucket."""
    try:
        yield from objects(aws, bucket, prefix)
    except ClientError as error:
        if error_code(error) != "NoSuchBucket":
            raise


def is_there(aws: Aws, wanted: Iterable[Upload]) -> list[bool]:
    """Tell for each whether `upload` has put it there already. An object of another content does not count."""
    uploads, s3 = list(wanted), aws.s3
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        digests = pool.map(lambda one: _digest(s3, one.bucket, one.key), uploads)
        return [digest == one.archive.digest for digest, one in zip(digests, uploads, strict=True)]


def _digest(s3: S3Client, bucket: str, key: str) -> str | None:
    """The content digest of an archive that `upload` put there; None if there is no object, or not from `upload`."""
    try:
        return s3.head_object(Bucket=bucket, Key=key)["Metadata"].get(_DIGEST_KEY)
    except ClientError as error:
        if error_code(error) not in ("404", "NoSuchKey"):
            raise
        return None


def upload(aws: Aws, wanted: Upload, advance: Callable[[int], None], part_bytes: int = 64 << 20) -> None:
    """Put the archive there: in parts when it is large, each with a checksum that S3 verifies.

    Args:
        aws: the session.
        wanted: what goes where.
        advance: is told the number of bytes sent since it was told last, from other threads too.
        part_bytes: size of a part.
    """
    aws.s3.upload_file(
        str(wanted.archive.path),
        wanted.bucket,
        wanted.key,
        ExtraArgs={"Metadata": {_DIGEST_KEY: wanted.archive.digest}, "ChecksumAlgorithm": "SHA256"},
        Callback=advance,
        Config=TransferConfig(multipart_threshold=part_bytes, multipart_chunksize=part_bytes),
    )


def remove(aws: Aws, bucket: str, keys: list[str]) -> None:
    """Delete the objects; those that are gone already are no error."""
    for start in range(0, len(keys), _DELETE_AT_ONCE):
        batch = keys[start : start + _DELETE_AT_ONCE]
        answer = aws.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in batch]})
        for failure in answer.get("Errors", []):
            raise AccessDeniedError(f"s3://{bucket}/{failure.get('Key')}: {failure.get('Message')}")


def unfinished_uploads(aws: Aws, bucket: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Key and id of the multipart uploads below `prefix` that were killed midway: they cost, and are no object."""
    try:
        for page in aws.s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
            yield from ((one["Key"], one["UploadId"]) for one in page.get("Uploads", []))
    except ClientError as error:
        if error_code(error) != "NoSuchBucket":
            raise


def abort_uploads(aws: Aws, bucket: str, prefix: str) -> None:
    """Remove the parts of multipart uploads below `prefix` that were killed midway."""
    for key, identity in unfinished_uploads(aws, bucket, prefix):
        aws.s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=identity)
