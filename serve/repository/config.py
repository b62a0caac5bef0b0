"""config.pbtxt, read and written with Triton's own protobuf."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from serve.repository.layout import RepositoryError

__all__ = ["DEPENDS_ON", "called_models", "parameter", "python_instances", "read_config", "write_config"]

# The parameter that names the models that a Python model calls by itself.
DEPENDS_ON = "sagemaker.depends_on"


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


def python_instances(model: Path, config: Any) -> int:
    """Return how many processes Triton starts for a Python model; 0 for any other."""
    if config.backend != "python" and not any(model.glob("[0-9]*/model.py")):
        return 0
    return sum(max(1, group.count) for group in config.instance_group) or 1
