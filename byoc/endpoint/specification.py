"""The specification of an endpoint: the keys of `endpoint.yaml`, typed and validated.

Names are SageMaker's own, in snake case. Keys of a container or its instances may be set at the top level, for every
variant, or in one variant.
"""

from __future__ import annotations

import functools
import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from botocore.loaders import Loader
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from serve import sagemaker

__all__ = ["AsyncInference", "DataCapture", "Specification", "Variant", "Vpc"]


@functools.cache
def _instance_types() -> tuple[str, ...]:
    """The instance types for endpoints that the installed botocore knows."""
    shapes = Loader().load_service_model("sagemaker", "service-2")["shapes"]
    return tuple(shapes["ProductionVariantInstanceType"]["enum"])


def _known_instance_type(value: str) -> str:
    known = _instance_types()
    if value in known:
        return value
    near = get_close_matches(value, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "expected a name such as ml.g5.xlarge."
    raise ValueError(f"{value!r} is not an instance type for endpoints: {hint} (If it is new, upgrade boto3.)")


def _valid_environment(value: dict[str, str]) -> dict[str, str]:
    """Reject what CreateModel rejects. Values may be secrets, so no message quotes one."""
    if len(value) > sagemaker.MAX_ENVIRONMENT_ENTRIES:
        raise ValueError(f"{len(value)} entries, but SageMaker accepts at most {sagemaker.MAX_ENVIRONMENT_ENTRIES}")
    for name, text in value.items():
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name):
            raise ValueError(f"{name!r} is not the name of an environment variable")
        if max(len(name.encode()), len(text.encode())) > sagemaker.MAX_ENVIRONMENT_BYTES:
            raise ValueError(f"{name} is longer than {sagemaker.MAX_ENVIRONMENT_BYTES} bytes")
    return value


def _s3_uri(value: str) -> str:
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", value):
        raise ValueError(f"{value!r} is not an S3 address: expected s3://bucket/prefix")
    return value


def _image_uri(value: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9.:-]+/[a-z0-9][a-z0-9._/-]+(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?", value):
        raise ValueError(f"{value!r} is not an image: expected ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG")
    return value


S3Uri = Annotated[str, AfterValidator(_s3_uri)]
ImageUri = Annotated[str, AfterValidator(_image_uri)]
InstanceType = Annotated[str, AfterValidator(_known_instance_type)]
Environment = Annotated[dict[str, str], AfterValidator(_valid_environment)]
Timeout = Annotated[int, Field(ge=60, le=3600)]


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class _Container(_Keys):
    """A variant's container and instances."""

    image: ImageUri | None = Field(
        default=None, description="Container image in ECR, in the endpoint's region. `byoc push` prints it."
    )
    model: str | None = Field(
        default=None, description="One model: a directory, a `model.tar.gz`, or an `s3://…/model.tar.gz` address."
    )
    models: str | None = Field(
        default=None,
        description="Many models behind one endpoint, instead of `model`: a directory with one sub-directory or "
        "`.tar.gz` per model, or an `s3://…/` prefix.",
    )
    model_cache: Literal["Enabled", "Disabled"] | None = Field(
        default=None,
        description="With `models`: whether a model stays in memory after its request. SageMaker's default: Enabled.",
    )
    environment: Environment = Field(
        default_factory=dict,
        description="Environment variables of the container. A variant's are added to those at the top level.",
    )
    instance_type: InstanceType | None = Field(default=None, description="Instance type, such as `ml.g5.xlarge`.")
    instance_count: int | None = Field(
        default=None, ge=1, le=10000, description="Initial number of instances. Default: 1."
    )
    volume_size_in_gb: int | None = Field(
        default=None,
        ge=1,
        le=512,
        description="Size of the attached EBS volume, for instance types without local storage.",
    )
    container_startup_health_check_timeout_in_seconds: Timeout | None = Field(
        default=None, description="How long the container may take until `/ping` returns 200. SageMaker's default: 480."
    )
    model_data_download_timeout_in_seconds: Timeout | None = Field(
        default=None, description="How long downloading and extracting the model may take."
    )

    @model_validator(mode="after")
    def _one_kind_of_model(self) -> _Container:
        if self.model is not None and self.models is not None:
            raise ValueError("both `model` and `models` are set: keep `model` for one model, or `models` for many")
        return self


class Variant(_Container):
    """A production variant. Variants share the requests by weight."""

    name: str = Field(description="The variant's name.", pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$")
    weight: float = Field(default=1.0, ge=0, description="Share of the requests, relative to the other variants.")


class AsyncInference(_Keys):
    """Asynchronous inference: requests are queued, and results are written to S3."""

    output: S3Uri = Field(description="S3 prefix for results.")
    failure: S3Uri | None = Field(default=None, description="S3 prefix for failures.")
    max_concurrent_invocations_per_instance: int | None = Field(
        default=None, ge=1, le=1000, description="Maximum concurrent requests per instance. Default: SageMaker chooses."
    )
    kms_key_id: str | None = Field(default=None, description="KMS key to encrypt results with.")
    success_topic: str | None = Field(default=None, description="ARN of the SNS topic for successes.")
    error_topic: str | None = Field(default=None, description="ARN of the SNS topic for failures.")


class DataCapture(_Keys):
    """Data capture: requests and responses are recorded in S3."""

    destination: S3Uri = Field(description="S3 prefix for captured data.")
    sampling_percentage: int = Field(default=100, ge=1, le=100, description="Percentage of requests to capture.")
    capture: list[Literal["Input", "Output", "InputAndOutput"]] = Field(
        default=["Input", "Output"], min_length=1, description="What to capture."
    )
    kms_key_id: str | None = Field(default=None, description="KMS key to encrypt captured data with.")
    csv_content_types: list[str] | None = Field(default=None, description="Content types to store as CSV.")
    json_content_types: list[str] | None = Field(default=None, description="Content types to store as JSON.")


class Vpc(_Keys):
    """A VPC to attach the containers to."""

    security_group_ids: list[str] = Field(min_length=1, max_length=5, description="Security groups of the containers.")
    subnets: list[str] = Field(min_length=1, max_length=16, description="Subnets of the containers.")


class Specification(_Container):
    """An endpoint, as described by `endpoint.yaml`."""

    endpoint: str = Field(
        description="Name of the endpoint: letters, digits and hyphens, at most 50 characters.",
        pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,49}$",
        max_length=50,
    )
    region: str | None = Field(default=None, description="AWS region. Default: AWS_REGION, or the profile's region.")
    role: str = Field(description="Name or ARN of the containers' IAM role. docs/iam.md has its policy.")
    upload_to: S3Uri | None = Field(
        default=None, description="S3 prefix to upload models to. Default: `s3://sagemaker-REGION-ACCOUNT/triton-byoc`."
    )
    variants: list[Variant] = Field(
        default_factory=list, max_length=10, description="Production variants. Default: one, named `AllTraffic`."
    )
    async_inference: AsyncInference | None = Field(default=None, description="Makes the endpoint asynchronous.")
    data_capture: DataCapture | None = Field(default=None, description="Records requests and responses.")
    vpc: Vpc | None = Field(default=None, description="Attaches the containers to your VPC.")
    enable_network_isolation: bool = Field(default=False, description="Runs the containers without network access.")
    kms_key_id: str | None = Field(default=None, description="KMS key to encrypt the instances' volumes with.")
    tags: dict[str, str] = Field(
        default_factory=dict, max_length=48, description="Tags of every resource that is created."
    )

    @model_validator(mode="after")
    def _complete_variants(self) -> Specification:
        names = [variant.name for variant in self.variants]
        if len(set(names)) != len(names):
            raise ValueError(f"variants: two have the same name ({', '.join(names)})")
        for variant in self.resolved():
            for key in ("image", "instance_type"):
                if getattr(variant, key) is None:
                    raise ValueError(
                        f"{key}: required key is missing (set it at the top level, or in variant {variant.name!r})"
                    )
            if (variant.model is None) == (variant.models is None):
                raise ValueError(f"model: variant {variant.name!r} needs either `model` or `models`")
            if variant.model_cache is not None and variant.models is None:
                raise ValueError("model_cache: can only be set with `models`")
        return self

    def resolved(self) -> tuple[Variant, ...]:
        """The variants, with the keys at the top level merged in."""
        variants = self.variants or [Variant(name="AllTraffic")]
        return tuple(self._resolve(variant) for variant in variants)

    def _resolve(self, variant: Variant) -> Variant:
        own = variant.model_dump(exclude_none=True)
        shared: dict[str, Any] = {key: getattr(self, key) for key in _Container.model_fields}
        if own.get("model") or own.get("models"):
            shared |= {"model": None, "models": None}
        merged = shared | own | {"environment": self.environment | variant.environment}
        return Variant.model_construct(**merged)
