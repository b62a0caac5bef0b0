"""config.pbtxt, parsed once into frozen values. Only this module and `staging` use Triton's protobuf."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, cast

from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import DataType, ModelInput, ModelInstanceGroup
from tritonclient.grpc.model_config_pb2 import ModelConfig as ConfigMessage

from serve.repository.findings import Finding, RepositoryError
from serve.repository.layout import CONFIG, version_directories

__all__ = [
    "DEPENDS_ON",
    "ENSEMBLE",
    "REQUIRED_MEMORY_MB",
    "InstanceGroup",
    "Kind",
    "ModelConfig",
    "Step",
    "Tensor",
    "VersionPolicy",
    "config_from_triton",
    "parse_message",
    "read_config",
]

# The parameter that lists the models that a Python model calls from its code.
DEPENDS_ON = "sagemaker.depends_on"

# The parameter with the host memory that a tenant's model needs.
REQUIRED_MEMORY_MB = "sagemaker.required_memory_mb"

# The backend that Triton chooses if the configuration names only a platform, or nothing.
PLATFORMS = {
    "onnxruntime_onnx": "onnxruntime",
    "pytorch_libtorch": "pytorch",
    "tensorflow_graphdef": "tensorflow",
    "tensorflow_savedmodel": "tensorflow",
    "tensorrt_plan": "tensorrt",
}
FILES = {
    "model.py": "python",
    "model.onnx": "onnxruntime",
    "model.pt": "pytorch",
    "model.plan": "tensorrt",
    "model.savedmodel": "tensorflow",
    "model.graphdef": "tensorflow",
    "model.xml": "openvino",
}
ENSEMBLE = "ensemble"
UNKNOWN = "unknown"

Kind = Literal["KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"]


@dataclass(frozen=True)
class InstanceGroup:
    """A group of instances of a model.

    Attributes:
        kind: where they run.
        count: how many, per GPU if they run on GPUs. 0: not set.
        gpus: the GPUs that the group names.
        name: its name; Triton adds one if it is not set.
    """

    kind: Kind = "KIND_AUTO"
    count: int = 0
    gpus: tuple[int, ...] = ()
    name: str = ""

    @property
    def wants_gpu(self) -> bool:
        """Whether it asks for a GPU."""
        return self.kind == "KIND_GPU" or bool(self.gpus)


@dataclass(frozen=True)
class Tensor:
    """An input or output: name, type (such as `TYPE_FP32`), and dimensions without the batch dimension."""

    name: str
    data_type: str
    dims: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """A step of an ensemble.

    Attributes:
        model: the model that it runs.
        inputs: the model's inputs → tensors of the ensemble.
        outputs: the model's outputs → tensors of the ensemble.
    """

    model: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VersionPolicy:
    """The versions of a model that Triton serves.

    Attributes:
        kind: the latest, all, or specific versions.
        latest: the number of latest versions.
        versions: the specific versions.
    """

    kind: Literal["latest", "all", "specific"] = "latest"
    latest: int = 1
    versions: tuple[int, ...] = ()

    def served(self, existing: tuple[int, ...]) -> tuple[int, ...]:
        """Return which of the existing versions are served, sorted."""
        if self.kind == "specific":
            return tuple(version for version in sorted(existing) if version in self.versions)
        newest_first = sorted(existing, reverse=True)
        return tuple(reversed(newest_first if self.kind == "all" else newest_first[: self.latest]))


@dataclass(frozen=True)
class ModelConfig:
    """The part of a model's configuration that `serve` and `byoc` use.

    Attributes:
        name: its `name`; "" if not set, for the directory's name.
        backend: what runs the model, such as `python`: from `backend`, `platform` or the model's files. `ensemble` for
            a model that only calls others; `unknown` if it can't be told.
        runtime: the backend's file that runs the model, such as `model.py`; "" if not set.
        default_model_filename: the model's file in its version directory; "" for the backend's default.
        cc_model_filenames: the same, per compute capability of a GPU.
        version_policy: the versions that are served.
        instance_groups: empty if not set.
        max_batch_size: 0 for a model without batching.
        inputs, outputs: may be empty if Triton completes the configuration.
        steps: the steps of an ensemble.
        parameters: key → value.
    """

    name: str = ""
    backend: str = UNKNOWN
    runtime: str = ""
    default_model_filename: str = ""
    cc_model_filenames: Mapping[str, str] = field(default_factory=dict)
    version_policy: VersionPolicy = field(default_factory=VersionPolicy)
    instance_groups: tuple[InstanceGroup, ...] = ()
    max_batch_size: int = 0
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    steps: tuple[Step, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def called_models(self) -> tuple[str, ...]:
        """The models that it calls, as ensemble steps or listed in `sagemaker.depends_on`, without duplicates."""
        named = (name.strip() for name in self.parameters.get(DEPENDS_ON, "").split(","))
        return tuple(dict.fromkeys((*self.step_models, *filter(None, named))))

    @property
    def step_models(self) -> tuple[str, ...]:
        """The models of its ensemble steps, without duplicates."""
        return tuple(dict.fromkeys(step.model for step in self.steps))

    @property
    def required_memory_mb(self) -> int | None:
        """The host memory that it asks for, in MiB; 0 if not set, None if the value is not a number."""
        text = self.parameters.get(REQUIRED_MEMORY_MB, "")
        return int(text or 0) if re.fullmatch("[0-9]{0,9}", text) else None

    @property
    def wants_gpu(self) -> bool:
        """Whether one of its instance groups asks for a GPU."""
        return any(group.wants_gpu for group in self.instance_groups)


def read_config(model: Path) -> ModelConfig:
    """Read the configuration of a model directory. Without config.pbtxt it is empty: Triton completes it.

    Raises:
        RepositoryError: the file is not a model configuration.
    """
    message = parse_message(model)
    try:
        return _config(message, model)
    except ValueError as error:  # a number that its enumeration doesn't have
        raise RepositoryError(f"the model {model}", [_invalid(error)]) from None


def config_from_triton(completed: Mapping[str, object]) -> ModelConfig:
    """Return the configuration of a loaded model from Triton's JSON response to `/v2/models/NAME/config`.

    Raises:
        ValueError: the response is not a model configuration.
    """
    try:
        message = json_format.ParseDict(dict(completed), ConfigMessage(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise ValueError(f"not a model configuration: {error}") from error
    return _config(message, None)


def parse_message(model: Path) -> ConfigMessage:
    """Return the `inference.ModelConfig` message of a model directory; an empty one without config.pbtxt.

    Raises:
        RepositoryError: the file is not a model configuration.
    """
    path = model / CONFIG
    if not path.is_file():
        return ConfigMessage()
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), ConfigMessage())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise RepositoryError(f"the model {model}", [_invalid(error)]) from None


def _invalid(error: Exception) -> Finding:
    line = error.GetLine() if isinstance(error, text_format.ParseError) else None
    reason = re.sub(r"^\d+:\d+ : ", "", str(error))
    return Finding(
        code="invalid-config",
        severity="error",
        message=f"this is not a valid model configuration: {reason}",
        remedy="see Triton's documentation of config.pbtxt",
        path=PurePosixPath(CONFIG),
        line=line,
    )


def _config(message: ConfigMessage, model: Path | None) -> ModelConfig:
    return ModelConfig(
        name=message.name,
        backend=_backend(message, model),
        runtime=message.runtime,
        default_model_filename=message.default_model_filename,
        cc_model_filenames=dict(message.cc_model_filenames),
        version_policy=_version_policy(message),
        instance_groups=tuple(map(_instance_group, message.instance_group)),
        max_batch_size=message.max_batch_size,
        inputs=tuple(map(_tensor, message.input)),
        outputs=tuple(map(_tensor, message.output)),
        steps=tuple(
            Step(step.model_name, dict(step.input_map), dict(step.output_map))
            for step in message.ensemble_scheduling.step
        ),
        parameters={key: value.string_value.strip() for key, value in message.parameters.items()},
    )


def _backend(message: ConfigMessage, model: Path | None) -> str:
    """Return what runs a model. If its configuration doesn't say, Triton decides by the model's file."""
    if known := message.backend or PLATFORMS.get(message.platform, message.platform):
        return str(known)
    if message.HasField("ensemble_scheduling"):
        return ENSEMBLE
    versions = version_directories(model).values() if model else ()
    return next((name for file, name in FILES.items() if any((path / file).exists() for path in versions)), UNKNOWN)


def _version_policy(message: ConfigMessage) -> VersionPolicy:
    policy = message.version_policy
    if policy.HasField("specific"):
        return VersionPolicy("specific", versions=tuple(policy.specific.versions))
    if policy.HasField("all"):
        return VersionPolicy("all")
    return VersionPolicy("latest", policy.latest.num_versions) if policy.HasField("latest") else VersionPolicy()


def _instance_group(group: ModelInstanceGroup) -> InstanceGroup:
    kind = ModelInstanceGroup.Kind.Name(group.kind)
    return InstanceGroup(cast(Kind, kind), group.count, tuple(group.gpus), group.name)


def _tensor(tensor: ModelInput) -> Tensor:
    return Tensor(tensor.name, DataType.Name(tensor.data_type), tuple(tensor.dims))
