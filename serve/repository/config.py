"""config.pbtxt, read and written with Triton's own protobuf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from serve.repository.layout import RepositoryError

__all__ = ["read_config", "write_config"]


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
