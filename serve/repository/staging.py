"""Makes an archive that was written for a GPU servable where there is none.

Triton refuses `KIND_GPU` on a machine without a GPU. The model directory is read-only, so the models that say it are
staged: a directory of symlinks to the original files, with a `config.pbtxt` that says `KIND_CPU`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tritonclient.grpc.model_config_pb2 import ModelInstanceGroup

from serve.repository.config import names_gpu, read_config, write_config
from serve.repository.layout import Repository, is_junk

__all__ = ["place_on_cpu", "stage_for_cpu"]


def stage_for_cpu(repository: Repository, destination: Path) -> Repository:
    """Write a repository to `destination` that serves the same models without a GPU.

    Returns:
        The same models with the same default, in `destination`. Every file but the rewritten config.pbtxt is a symlink.
    """
    destination.mkdir(parents=True)
    to_rewrite = {model.name for model in repository.loaded if model.wants_gpu}
    for name in repository.models:
        source, target = repository.directory / name, destination / name
        if name not in to_rewrite:
            target.symlink_to(source.resolve(), target_is_directory=True)
            continue
        target.mkdir()
        for entry in source.iterdir():
            if not is_junk(entry.name) and entry.name != "config.pbtxt":
                (target / entry.name).symlink_to(entry.resolve(), target_is_directory=entry.is_dir())
        config = read_config(source)
        place_on_cpu(config)
        write_config(target, config)
    return replace(repository, directory=destination)


def place_on_cpu(config: Any) -> None:
    """Move the instance groups of an `inference.ModelConfig` message that ask for a GPU to the CPU."""
    for group in config.instance_group:
        if names_gpu(group):
            group.kind = ModelInstanceGroup.KIND_CPU
            del group.gpus[:]
