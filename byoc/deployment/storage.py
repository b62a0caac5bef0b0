"""The model archives of a deployment in S3: where they are stored, which exist, and uploading them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from byoc.archive import Archive
from byoc.aws import Aws, error_code
from byoc.aws.s3 import MISSING, split_uri
from byoc.errors import AccessDeniedError, ByocError, NotFoundError, RegionError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["Location", "Upload", "are_uploaded", "check_bucket", "location_of", "upload"]

_DIGEST_KEY = "sha256"
_DIGEST_LENGTH = 16
_CONNECTIONS = 10  # the size of botocore's connection pool


@dataclass(frozen=True)
class Location:
    """Where a deployment's objects are. `prefix` ends with `/`, and no other object is below it.

    `owner` is the account that has to own the bucket; None: any.
    """

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
    """An archive, and the object to store it as."""

    archive: Archive
    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


def location_of(aws: Aws, endpoint: str, upload_to: str | None) -> Location:
    """Where the objects of `endpoint` are: below `upload_to`, by default in the account's SageMaker bucket.

    Anybody can guess the default bucket's name, so it is only used if this account owns it.
    """
    if upload_to is None:
        return Location(f"sagemaker-{aws.region}-{aws.account}", f"triton-byoc/{endpoint}/", owner=aws.account)
    bucket, prefix = split_uri(upload_to.rstrip("/"))
    return Location(bucket, f"{prefix}/{endpoint}/" if prefix else f"{endpoint}/")


def check_bucket(aws: Aws, location: Location) -> None:
    """Check that archives can be uploaded to `location`.

    Raises:
        NotFoundError: the bucket does not exist.
        AccessDeniedError: you are not allowed to use it, or another account owns it.
        RegionError: it is in another region.
    """
    expected = {"ExpectedBucketOwner": location.owner} if location.owner else {}
    try:
        region = aws.s3.head_bucket(Bucket=location.bucket, **expected).get("BucketRegion", aws.region)
    except ClientError as error:
        raise _bucket_error(aws, location.bucket, error) from error
    if region != aws.region:
        remedy = "Set `upload_to` to a bucket in the endpoint's region."
        raise RegionError(f"upload_to: bucket {location.bucket!r} is in {region}, not in {aws.region}", remedy)


def _bucket_error(aws: Aws, bucket: str, error: ClientError) -> ByocError | ClientError:
    """What the failure of HeadBucket means; it has no body, so the code is the HTTP status."""
    if error_code(error) == "404":
        remedy = f"Create it: `aws s3 mb s3://{bucket} --region {aws.region}`, or set `upload_to` to another."
        return NotFoundError(f"upload_to: there is no bucket {bucket!r}", remedy)
    if error_code(error) == "403":
        remedy = "Ask for s3:ListBucket, s3:GetObject and s3:PutObject on it, or set `upload_to` to another."
        return AccessDeniedError(f"upload_to: you are not allowed to use bucket {bucket!r}", remedy)
    return error


def are_uploaded(aws: Aws, wanted: Iterable[Upload]) -> list[bool]:
    """For each, whether `upload` has stored it already, with the same content."""
    uploads, s3 = list(wanted), aws.s3
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        digests = pool.map(lambda one: _digest(s3, one.bucket, one.key), uploads)
        return [digest == one.archive.digest for digest, one in zip(digests, uploads, strict=True)]


def _digest(s3: S3Client, bucket: str, key: str) -> str | None:
    """The content digest that `upload` stored with an object; None if there is no object, or no digest."""
    try:
        return s3.head_object(Bucket=bucket, Key=key)["Metadata"].get(_DIGEST_KEY)
    except ClientError as error:
        if error_code(error) not in MISSING:
            raise
        return None


def upload(aws: Aws, wanted: Upload, advance: Callable[[int], None], part_bytes: int = 64 << 20) -> None:
    """Upload an archive; a large one in parts. S3 verifies a checksum of each part.

    Args:
        aws: the session.
        wanted: the archive and its object.
        advance: is called with the number of bytes sent since the last call, also from other threads.
        part_bytes: the size of a part in bytes.
    """
    aws.s3.upload_file(
        str(wanted.archive.path),
        wanted.bucket,
        wanted.key,
        ExtraArgs={"Metadata": {_DIGEST_KEY: wanted.archive.digest}, "ChecksumAlgorithm": "SHA256"},
        Callback=advance,
        Config=TransferConfig(multipart_threshold=part_bytes, multipart_chunksize=part_bytes),
    )
