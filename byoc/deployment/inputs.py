"""The inputs of a deployment: the image by digest, and the models as archives or S3 addresses.

Nothing here changes anything in AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from byoc import archive
from byoc.aws import Aws, error_code
from byoc.aws.ecr import parse_image, registry_host
from byoc.aws.s3 import MISSING, objects, objects_if_any, split_uri
from byoc.deployment.storage import Location, Upload, are_uploaded
from byoc.endpoint.specification import Variant
from byoc.errors import ArchiveError, ConfigurationError, NotFoundError, RegionError
from serve.settings import Settings, SettingsError

__all__ = ["ModelData", "local_model_data", "pinned_image", "remote_model_data", "single_model"]

_DEFAULT_MODEL_VARIABLE = "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME"
_LOAD_MODELS_VARIABLE = "SAGEMAKER_TRITON_LOAD_MODELS"
_UPLOAD_REMEDY = "Upload it, or name a local directory: `byoc deploy` then uploads it."


@dataclass(frozen=True)
class ModelData:
    """The model data of one variant.

    Attributes:
        url: `s3://…/model.tar.gz`, or a prefix that ends with `/`: uncompressed files, or the archives of many models.
        uploads: the archives that have to be in S3, including those that are there already.
        fingerprint: changes when the data at the same `url` change.
    """

    url: str
    uploads: tuple[Upload, ...] = ()
    fingerprint: str = ""


def pinned_image(aws: Aws, image: str) -> str:
    """`image` by digest. A tag could be moved later, which would change what runs without a deployment.

    Raises:
        ConfigurationError: the image is not in an ECR registry.
        RegionError: it is in another region than the endpoint.
        NotFoundError: the repository or the tag does not exist.
    """
    found = parse_image(image)
    if found is None:
        remedy = "SageMaker pulls images from Amazon ECR only: push it there with `byoc push`."
        raise ConfigurationError(f"image: {image} is not in an ECR registry", remedy)
    if found.region != aws.region:
        remedy = f"Push it to {aws.region} with `byoc push`, or set `region: {found.region}`."
        raise RegionError(f"image: {image} is in {found.region}, but the endpoint is in {aws.region}", remedy)
    digest = found.digest or _digest_of(aws, found.account, found.repository, found.tag or "latest")
    return f"{registry_host(found.account, aws.region)}/{found.repository}@{digest}"


def _digest_of(aws: Aws, account: str, repository: str, tag: str) -> str:
    try:
        found = aws.ecr.describe_images(registryId=account, repositoryName=repository, imageIds=[{"imageTag": tag}])[
            "imageDetails"
        ]
    except ClientError as error:
        if error_code(error) not in ("RepositoryNotFoundException", "ImageNotFoundException"):
            raise
        what = "repository" if error_code(error) == "RepositoryNotFoundException" else f"tag {tag!r} in repository"
        remedy = "Push the image with `byoc push`."
        raise NotFoundError(f"image: registry {account} has no {what} {repository!r}", remedy) from error
    return found[0]["imageDigest"]


def local_model_data(variant: Variant, location: Location, current: str | None, scratch: Path, aws: Aws) -> ModelData:
    """The model data of a directory or archive on this machine, checked, and packed into `scratch`.

    Args:
        variant: the variant, with a local `model` or `models`.
        location: where the deployment's objects are.
        current: the S3 prefix that a multi-model endpoint serves now; None if it does not.
        scratch: an empty directory that exists until the uploads are done.
        aws: the session, to find out which archives of `current` are unchanged.

    Raises:
        ArchiveError: the path does not exist, or `serve` would not load the model.
    """
    if variant.model is not None:
        packed = _pack_model(Path(variant.model), scratch, single_model(variant.environment))
        upload = Upload(packed, location.bucket, location.key(packed.digest, "model.tar.gz"))
        return ModelData(upload.uri, (upload,))
    packed_models = _pack_models(Path(str(variant.models)), scratch)
    prefix = _prefix_for(packed_models, location, current, aws)
    return ModelData(f"s3://{location.bucket}/{prefix}", _uploads(packed_models, location, prefix))


def _uploads(models: tuple[archive.Archive, ...], location: Location, prefix: str) -> tuple[Upload, ...]:
    return tuple(Upload(one, location.bucket, f"{prefix}{one.path.name}") for one in models)


def single_model(environment: Mapping[str, str]) -> archive.SingleModel:
    """What an endpoint with these environment variables loads.

    Raises:
        ConfigurationError: a variable has an invalid value.
    """
    names = (_DEFAULT_MODEL_VARIABLE, _LOAD_MODELS_VARIABLE)
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
    raise ArchiveError(f"model: {path} does not exist", "Paths in endpoint.yaml are relative to the file.")


def _pack_models(path: Path, scratch: Path) -> tuple[archive.Archive, ...]:
    if not path.is_dir():
        raise ArchiveError(f"models: {path} is not a directory", "Paths in endpoint.yaml are relative to the file.")
    ready = sorted(path.glob("*.tar.gz"))
    if ready:
        return tuple(archive.read(one, archive.MultiModel()) for one in ready)
    return archive.pack_tenants(path, scratch)


def _prefix_for(models: tuple[archive.Archive, ...], location: Location, current: str | None, aws: Aws) -> str:
    """The key prefix for many models: the current one unless an archive changed.

    Instances cache what they have downloaded, and would keep serving the old version of an archive that is overwritten.
    A change therefore goes to a new prefix, which means a new model and an update. An additional archive needs neither.
    """
    fresh = location.key(archive.combined_digest(models), "")
    if current is None or not current.startswith(f"s3://{location.bucket}/{location.prefix}"):
        return fresh
    prefix = split_uri(current)[1]
    present = {key for key, _ in objects(aws, location.bucket, prefix)}
    known = (one for one in _uploads(models, location, prefix) if one.key in present)
    return prefix if all(are_uploaded(aws, known)) else fresh


def remote_model_data(variant: Variant, aws: Aws) -> ModelData | None:
    """The model data of a variant whose model is in S3; None if it is on this machine.

    Raises:
        NotFoundError: there is no object at the address.
    """
    url = variant.model or variant.models or ""
    if not url.startswith("s3://"):
        return None
    bucket, key = split_uri(url)
    if variant.models is not None or url.endswith("/"):
        prefix = key if key.endswith("/") or not key else f"{key}/"
        if not any(objects_if_any(aws, bucket, prefix)):
            raise NotFoundError(f"{'models' if variant.models else 'model'}: there is nothing at {url}", _UPLOAD_REMEDY)
        return ModelData(f"s3://{bucket}/{prefix}")
    try:
        return ModelData(url, fingerprint=aws.s3.head_object(Bucket=bucket, Key=key)["ETag"])
    except ClientError as error:
        if error_code(error) not in {*MISSING, "NoSuchBucket"}:
            raise
        raise NotFoundError(f"model: there is no object {url}", _UPLOAD_REMEDY) from error
