"""The SageMaker resources of a deployment, as the requests that create them. Pure: calls nothing.

Models and configurations are named by their content, `ENDPOINT-DIGEST`. The same specification always leads to the same
names, so no state is kept between runs, and an existing resource never changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from byoc.deployment.inputs import ModelData
from byoc.endpoint.specification import AsyncInference, DataCapture, Specification, Variant

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import TagTypeDef

__all__ = ["OWNER_TAG", "UPLOAD_TAG", "Desired", "desired", "is_resource_name", "tag_list"]

OWNER_TAG = "triton-byoc:endpoint"
UPLOAD_TAG = "triton-byoc:upload-to"
_DIGEST_LENGTH = 12

Request = dict[str, Any]


@dataclass(frozen=True)
class Desired:
    """The desired state.

    Attributes:
        endpoint: the endpoint's name.
        models: CreateModel requests.
        config: the CreateEndpointConfig request.
        tags: tags of the endpoint.
    """

    endpoint: str
    models: tuple[Request, ...]
    config: Request
    tags: dict[str, str]

    @property
    def config_name(self) -> str:
        """The name of the endpoint configuration."""
        return str(self.config["EndpointConfigName"])

    @property
    def model_names(self) -> tuple[str, ...]:
        """The names of the models."""
        return tuple(str(model["ModelName"]) for model in self.models)


def desired(
    spec: Specification, role_arn: str, images: Mapping[str, str], data: Mapping[str, ModelData], upload_to: str
) -> Desired:
    """The resources of `spec`.

    Args:
        spec: the specification of the endpoint.
        role_arn: the ARN of its role.
        images: variant name → image by digest.
        data: variant name → model data.
        upload_to: `bucket/prefix` of the deployment's objects. It becomes a tag, so that `byoc delete` finds them.
    """
    tags = {OWNER_TAG: spec.endpoint, UPLOAD_TAG: upload_to, **spec.tags}
    models = {}
    for variant in spec.resolved():
        body = _model(spec, variant, role_arn, images[variant.name], data[variant.name])
        models[variant.name] = _named("ModelName", spec.endpoint, body, tags, data[variant.name].fingerprint)
    variants = [_production_variant(one, models[one.name]["ModelName"]) for one in spec.resolved()]
    config = _named("EndpointConfigName", spec.endpoint, _endpoint_config(spec, variants), tags)
    distinct = {str(model["ModelName"]): model for model in models.values()}
    return Desired(spec.endpoint, tuple(distinct.values()), config, tags)


def tag_list(tags: Mapping[str, str]) -> list[TagTypeDef]:
    """Tags in the form that SageMaker's requests use."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def is_resource_name(endpoint: str, name: str) -> bool:
    """Tell whether a model or configuration of `endpoint` can have this name."""
    suffix = name.removeprefix(f"{endpoint}-")
    return suffix != name and len(suffix) == _DIGEST_LENGTH and set(suffix) <= set("0123456789abcdef")


def _named(key: str, endpoint: str, body: Request, tags: Mapping[str, str], fingerprint: str = "") -> Request:
    """`body` as a request, with its tags and a name derived from its content."""
    content = json.dumps([body, fingerprint], sort_keys=True).encode()
    name = f"{endpoint}-{hashlib.sha256(content).hexdigest()[:_DIGEST_LENGTH]}"
    return {key: name, **body, "Tags": tag_list(tags)}


def _model(spec: Specification, variant: Variant, role_arn: str, image: str, data: ModelData) -> Request:
    container = _without_none(Image=image, Environment=variant.environment or None) | _model_source(variant, data)
    vpc = spec.vpc and {"SecurityGroupIds": spec.vpc.security_group_ids, "Subnets": spec.vpc.subnets}
    return _without_none(
        ExecutionRoleArn=role_arn,
        PrimaryContainer=container,
        VpcConfig=vpc,
        EnableNetworkIsolation=spec.enable_network_isolation or None,
    )


def _model_source(variant: Variant, data: ModelData) -> Request:
    """The container's model: an archive, a prefix of archives, or a prefix of uncompressed files."""
    if variant.models is not None:
        cache = variant.model_cache and {"ModelCacheSetting": variant.model_cache}
        return _without_none(Mode="MultiModel", ModelDataUrl=data.url, MultiModelConfig=cache)
    if data.url.endswith("/"):
        source = {"S3Uri": data.url, "S3DataType": "S3Prefix", "CompressionType": "None"}
        return {"ModelDataSource": {"S3DataSource": source}}
    return {"ModelDataUrl": data.url}


def _production_variant(variant: Variant, model_name: str) -> Request:
    return _without_none(
        VariantName=variant.name,
        ModelName=model_name,
        InstanceType=variant.instance_type,
        InitialInstanceCount=variant.instance_count or 1,
        InitialVariantWeight=variant.weight,
        VolumeSizeInGB=variant.volume_size_in_gb,
        ContainerStartupHealthCheckTimeoutInSeconds=variant.container_startup_health_check_timeout_in_seconds,
        ModelDataDownloadTimeoutInSeconds=variant.model_data_download_timeout_in_seconds,
    )


def _endpoint_config(spec: Specification, variants: list[Request]) -> Request:
    return _without_none(
        ProductionVariants=variants,
        AsyncInferenceConfig=_async(spec.async_inference) if spec.async_inference else None,
        DataCaptureConfig=_capture(spec.data_capture) if spec.data_capture else None,
        KmsKeyId=spec.kms_key_id,
    )


def _async(keys: AsyncInference) -> Request:
    topics = _without_none(SuccessTopic=keys.success_topic, ErrorTopic=keys.error_topic)
    output = _without_none(
        S3OutputPath=keys.output,
        S3FailurePath=keys.failure,
        KmsKeyId=keys.kms_key_id,
        NotificationConfig=topics or None,
    )
    limit = keys.max_concurrent_invocations_per_instance
    client = {"MaxConcurrentInvocationsPerInstance": limit} if limit else None
    return _without_none(OutputConfig=output, ClientConfig=client)


def _capture(keys: DataCapture) -> Request:
    types = _without_none(CsvContentTypes=keys.csv_content_types, JsonContentTypes=keys.json_content_types)
    return _without_none(
        EnableCapture=True,
        InitialSamplingPercentage=keys.sampling_percentage,
        DestinationS3Uri=keys.destination,
        KmsKeyId=keys.kms_key_id,
        CaptureOptions=[{"CaptureMode": mode} for mode in keys.capture],
        CaptureContentTypeHeader=types or None,
    )


def _without_none(**members: object) -> Request:
    """The members of a request that are set. SageMaker distinguishes a missing member from an empty one."""
    return {name: value for name, value in members.items() if value is not None}
