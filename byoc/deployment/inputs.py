"""What a deployment starts from: the image by its digest, the role by its ARN, the models as archives and S3 addresses.

Everything here only reads from AWS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from byoc import archive
from byoc.aws import Aws, error_code
from byoc.deployment.storage import Location, Upload, is_there, objects, objects_if_any, split_uri
from byoc.endpoint.specification import Variant
from byoc.errors import ArchiveError, ConfigurationError, NotFoundError, RegionError
from byoc.image.base_images import registry_host
from serve.settings import Settings, SettingsError

__all__ = ["DEFAULT_MODEL_VARIABLE", "ModelData", "local_model_data", "pinned_image", "remote_model_data"]

DEFAULT_MODEL_VARIABLE = "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME"
LOAD_MODELS_VARIABLE = "SAGEMAKER_TRITON_LOAD_MODELS"
_ECR = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<image>.+)")
_UPLOAD_REMEDY = "Upload it there, or name a directory and let `byoc deploy` do it."


@dataclass(frozen=True)
class ModelData:
    """The model data of one variant.

    Attributes:
        url: `s3://…/model.tar.gz`, or a prefix that ends with `/`: uncompressed files, or many models' archives.
        uploads: what has to lie in S3 for it, whether it does already or not.
        fingerprint: differs when the data differ although `url` does not.
    """

    url: str
    uploads: tuple[Upload, ...] = ()
    fingerprint: str = ""


def pinned_image(aws: Aws, image: str) -> str:
    """`image` by its digest: a tag that is moved later would change what runs without anybody deploying.

    Raises:
        ConfigurationError: the image is in no ECR registry.
        RegionError: it is in another region than the endpoint.
        NotFoundError: there is no such repository, or no such tag in it.
    """
    match = _ECR.fullmatch(image)
    if not match:
        remedy = "SageMaker takes images from Amazon ECR: `byoc push` puts one there."
        raise ConfigurationError(f"image: {image} is not in an ECR registry", remedy)
    if match["region"] != aws.region:
        remedy = f"`byoc push` it to {aws.region} too, or set `region: {match['region']}`."
        raise RegionError(f"image: {image} is in {match['region']}, the endpoint in {aws.region}", remedy)
    repository, _, digest = match["image"].partition("@")
    repository, _, tag = repository.partition(":")
    digest = digest or _digest_of(aws, match["account"], repository, tag or "latest")
    return f"{registry_host(match['account'], aws.region)}/{repository}@{digest}"


def _digest_of(aws: Aws, account: str, repository: str, tag: str) -> str:
    try:
        found = aws.ecr.describe_images(registryId=account, repositoryName=repository, imageIds=[{"imageTag": tag}])[
            "imageDetails"
        ]
    except ClientError as error:
        if error_code(error) not in ("RepositoryNotFoundException", "ImageNotFoundException"):
            raise
        what = "repository" if error_code(error) == "RepositoryNotFoundException" else f"tag {tag!r} in repository"
        remedy = "`byoc push` puts the image there."
        raise NotFoundError(f"image: registry {account} has no {what} {repository!r}", remedy) from error
    return found[0]["imageDigest"]


def local_model_data(variant: Variant, location: Location, current: str | None, scratch: Path, aws: Aws) -> ModelData:
    """The model data of a directory or archive on this machine, checked and packed into `scratch`.

    Args:
        variant: has a local `model` or `models`.
        location: where the deployment's objects lie.
        current: the S3 prefix of the many models that the endpoint serves now, if it does.
        scratch: an empty directory that lives until the uploads are done.
        aws: to ask S3 which archives of `current` are the same.

    Raises:
        ArchiveError: there is nothing there, or `serve` would not load it.
    """
    if variant.model is not None:
        packed = _pack_model(Path(variant.model), scratch, _endpoint(variant.environment))
        upload = Upload(packed, location.bucket, location.key(packed.digest, "model.tar.gz"))
        return ModelData(upload.uri, (upload,))
    packed_models = _pack_models(Path(str(variant.models)), scratch)
    prefix = _prefix_for(packed_models, location, current, aws)
    return ModelData(f"s3://{location.bucket}/{prefix}", _uploads(packed_models, location, prefix))


def _uploads(models: tuple[archive.Archive, ...], location: Location, prefix: str) -> tuple[Upload, ...]:
    return tuple(Upload(one, location.bucket, f"{prefix}{one.path.name}") for one in models)


def _endpoint(environment: Mapping[str, str]) -> archive.SingleModel:
    """What an endpoint with these environment variables loads; raises ConfigurationError."""
    names = (DEFAULT_MODEL_VARIABLE, LOAD_MODELS_VARIABLE)
    try:
        settings = Settings.from_environment({name: environment[name] for name in names if name in environment})
    except SettingsError as error:
        raise ConfigurationError(f"environment: {error}") from error
    return archive.SingleModel(settings.default_model_name, settings.load_models)


def _pack_model(path: Path, scratch: Path, endpoint: archive.SingleModel) -> archive.Archive:
    if path.is_dir():
        return archive.pack(path, scratch / "model.tar.gz", endpoint)
    if path.is_file():
        return archive.read(path, endpoint)
    raise ArchiveError(f"model: {path} does not exist", "Paths in endpoint.yaml are relative to it.")


def _pack_models(path: Path, scratch: Path) -> tuple[archive.Archive, ...]:
    if not path.is_dir():
        raise ArchiveError(f"models: {path} is not a directory", "Paths in endpoint.yaml are relative to it.")
    ready = sorted(path.glob("*.tar.gz"))
    if ready:
        return tuple(archive.read(one, archive.MultiModel()) for one in ready)
    return archive.pack_tenants(path, scratch)


def _prefix_for(models: tuple[archive.Archive, ...], location: Location, current: str | None, aws: Aws) -> str:
    """The key prefix for many models: the current one unless an archive changed.

    A machine keeps what it has downloaded, so an archive that is overwritten in place would stay the old one there: a
    change goes to a new prefix, which makes a new model and an update. A new archive beside the others needs neither.
    """
    fresh = location.key(archive.combined_digest(models), "")
    if current is None or not current.startswith(f"s3://{location.bucket}/{location.prefix}"):
        return fresh
    prefix = split_uri(current)[1]
    present = {key for key, _ in objects(aws, location.bucket, prefix)}
    known = (one for one in _uploads(models, location, prefix) if one.key in present)
    return prefix if all(is_there(aws, known)) else fresh


def remote_model_data(variant: Variant, aws: Aws) -> ModelData | None:
    """The model data that lies in S3 already, or None if `variant`'s lies on this machine; raises NotFoundError."""
    url = variant.model or variant.models or ""
    if not url.startswith("s3://"):
        return None
    bucket, key = split_uri(url)
    if variant.models is not None or url.endswith("/"):
        prefix = key if key.endswith("/") or not key else f"{key}/"
        if not any(objects_if_any(aws, bucket, prefix)):
            raise NotFoundError(f"{'models' if variant.models else 'model'}: nothing lies at {url}", _UPLOAD_REMEDY)
        return ModelData(f"s3://{bucket}/{prefix}")
    try:
        return ModelData(url, fingerprint=aws.s3.head_object(Bucket=bucket, Key=key)["ETag"])
    except ClientError as error:
        if error_code(error) not in ("404", "NoSuchKey", "NoSuchBucket"):
            raise
        raise NotFoundError(f"model: there is no object {url}", _UPLOAD_REMEDY) from error
