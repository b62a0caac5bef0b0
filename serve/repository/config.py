"""config.pbtxt, parsed once into frozen values. Triton's protobuf stays in here and in `staging`."""

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

# The parameter that names the models that a Python model calls from its code.
DEPENDS_ON = "sagemaker.depends_on"

# The parameter that says how much host memory a tenant's model needs.
REQUIRED_MEMORY_MB = "sagemaker.required_memory_mb"

# Which backend Triton takes where the configuration names a platform, or nothing.
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
    """Instances of a model that are started alike.

    Attributes:
        kind: where they run.
        count: how many; on each GPU, where they run on GPUs. 0: the configuration doesn't say.
        gpus: the GPUs that it names.
        name: its name; Triton gives it one where the configuration has none.
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
    """An input or an output: its name, its type (such as `TYPE_FP32`), its dimensions without the batch's."""

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
    """Which versions of a model Triton serves.

    Attributes:
        kind: the latest ones, all, or specific ones.
        latest: how many of the latest.
        versions: the specific ones.
    """

    kind: Literal["latest", "all", "specific"] = "latest"
    latest: int = 1
    versions: tuple[int, ...] = ()

    def served(self, existing: tuple[int, ...]) -> tuple[int, ...]:
        """Return the versions that are served, of those that exist, sorted."""
        if self.kind == "specific":
            return tuple(version for version in sorted(existing) if version in self.versions)
        newest_first = sorted(existing, reverse=True)
        return tuple(reversed(newest_first if self.kind == "all" else newest_first[: self.latest]))


@dataclass(frozen=True)
class ModelConfig:
    """The configuration of a model, as far as `serve` and `byoc` look at it.

    Attributes:
        name: its `name`; "" where it has none, which Triton takes for the directory's.
        backend: what runs the model, such as `python`; by `backend`, else by `platform`, else by the model's files.
            `ensemble` for one that only calls others, `unknown` where nothing tells.
        runtime: the file of the backend that runs it, such as `model.py`, where the configuration names one.
        default_model_filename: the model's file in its version directory; "" for the backend's usual one.
        cc_model_filenames: the same by the compute capability of a GPU.
        version_policy: which versions are served.
        instance_groups: empty where the configuration has none.
        max_batch_size: 0 for a model that takes no batches.
        inputs, outputs: may be empty, where Triton completes the configuration.
        steps: those of an ensemble.
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
        """The models that it calls, each once: as steps of an ensemble, or named in `sagemaker.depends_on`."""
        named = (name.strip() for name in self.parameters.get(DEPENDS_ON, "").split(","))
        return tuple(dict.fromkeys((*self.step_models, *filter(None, named))))

    @property
    def step_models(self) -> tuple[str, ...]:
        """The models that it runs as steps of an ensemble, each once."""
        return tuple(dict.fromkeys(step.model for step in self.steps))

    @property
    def required_memory_mb(self) -> int | None:
        """The host memory that it says it needs, in MiB; 0 where it says nothing, None where that is not a number."""
        text = self.parameters.get(REQUIRED_MEMORY_MB, "")
        return int(text or 0) if re.fullmatch("[0-9]{0,9}", text) else None

    @property
    def wants_gpu(self) -> bool:
        """Whether one of its instance groups asks for a GPU."""
        return any(group.wants_gpu for group in self.instance_groups)


def read_config(model: Path) -> ModelConfig:
    """Read the configuration of a model directory; without a config.pbtxt, which Triton completes, an empty one.

    Raises:
        RepositoryError: the file is not a model configuration.
    """
    message = parse_message(model)
    try:
        return _config(message, model)
    except ValueError as error:  # a number that is none of an enumeration's
        raise RepositoryError(f"the model {model}", [_invalid(error)]) from None


def config_from_triton(completed: Mapping[str, object]) -> ModelConfig:
    """Return the configuration that Triton answers for a loaded model, as JSON, at `/v2/models/NAME/config`.

    Raises:
        ValueError: this is no such configuration.
    """
    try:
        message = json_format.ParseDict(dict(completed), ConfigMessage(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise ValueError(f"not a model configuration: {error}") from error
    return _config(message, None)


def parse_message(model: Path) -> ConfigMessage:
    """Return the `inference.ModelConfig` message of a model directory; an empty one without a config.pbtxt.

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
    """Return what runs a model; where its configuration does not say, Triton tells by the file."""
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
