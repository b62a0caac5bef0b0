"""config.pbtxt, read and written with Triton's own protobuf."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from serve.repository.layout import RepositoryError

__all__ = [
    "DEPENDS_ON",
    "backend",
    "called_models",
    "instances",
    "names_gpu",
    "parameter",
    "python_instances",
    "read_config",
    "write_config",
]

# The parameter that names the models that a Python model calls by itself.
DEPENDS_ON = "sagemaker.depends_on"

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

# Of these Triton starts two instances on a CPU where the configuration does not say how many.
TWO_ON_A_CPU = ("onnxruntime", "tensorflow")


def read_config(model: Path) -> Any:
    """Read the configuration of a model directory.

    Returns:
        An `inference.ModelConfig` message; empty where the model has no config.pbtxt, which Triton completes by itself.

    Raises:
        RepositoryError: the file is no model configuration; names file, line and what is wrong.
    """
    path = model / "config.pbtxt"
    if not path.is_file():
        return ModelConfig()
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), ModelConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise RepositoryError(f"{path} is not a valid model configuration: {error}") from None


def write_config(model: Path, config: Any) -> None:
    """Write an `inference.ModelConfig` message as `config.pbtxt` into a model directory."""
    (model / "config.pbtxt").write_text(text_format.MessageToString(config), encoding="utf-8")


def parameter(config: Any, key: str) -> str:
    """Return an entry of a configuration's `parameters`, or an empty text."""
    return str(config.parameters[key].string_value).strip() if key in config.parameters else ""


def called_models(config: Any) -> Iterator[str]:
    """Yield the names of the models that a model calls: as steps of an ensemble, or named in `sagemaker.depends_on`."""
    yield from (step.model_name for step in config.ensemble_scheduling.step)
    yield from (name.strip() for name in parameter(config, DEPENDS_ON).split(",") if name.strip())


def backend(model: Path, config: Any) -> str:
    """Return what runs a model; where its configuration does not say, Triton tells by the file."""
    if known := config.backend or PLATFORMS.get(config.platform, config.platform):
        return str(known)
    if config.HasField("ensemble_scheduling"):
        return "ensemble"
    return next((name for file, name in FILES.items() if any(model.glob(f"[0-9]*/{file}"))), "unknown")


def instances(model: Path, config: Any, gpus: int) -> int:
    """Return how many instances of a model Triton starts: `count`, on each GPU of a group, or what it makes up."""
    runs_on = backend(model, config)
    if runs_on == "ensemble":
        return 0
    return sum(_instances(group, runs_on, gpus) for group in config.instance_group or [ModelInstanceGroup()])


def names_gpu(group: Any) -> bool:
    """Tell whether an instance group asks for a GPU."""
    return bool(group.kind == ModelInstanceGroup.KIND_GPU or group.gpus)


def _instances(group: Any, runs_on: str, gpus: int) -> int:
    if gpus and group.kind in (ModelInstanceGroup.KIND_AUTO, ModelInstanceGroup.KIND_GPU):
        return max(1, int(group.count)) * (len(group.gpus) or gpus)
    return int(group.count) or (2 if runs_on in TWO_ON_A_CPU else 1)


def python_instances(model: Path, config: Any) -> int:
    """Return how many processes Triton starts for a Python model on a machine without a GPU; 0 for any other."""
    return instances(model, config, gpus=0) if backend(model, config) == "python" else 0
