"""Models with a rewritten config.pbtxt: those that ask for a missing GPU, and those of tenants.

The model directory is read-only, so such models are staged: a directory with the new config.pbtxt and symlinks to the
original files. Triton refuses `KIND_GPU` on a machine without a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig as ConfigMessage
from tritonclient.grpc.model_config_pb2 import ModelInstanceGroup

from serve.repository.archives import Tenant
from serve.repository.config import parse_message
from serve.repository.layout import CONFIG, is_junk
from serve.repository.names import SEPARATOR
from serve.repository.selection import Repository

__all__ = ["TENANT_PREFIX", "install_tenant", "stage_for_cpu"]

# The parameter that `serve` adds: the prefix that a Python model needs to call another model of its archive.
TENANT_PREFIX = "sagemaker.tenant_prefix"


def stage_for_cpu(repository: Repository, destination: Path) -> Repository:
    """Write a repository to `destination` that serves the same models without a GPU.

    Returns:
        The same models with the same default, in `destination`. Every file but the rewritten config.pbtxt is a symlink.
    """
    destination.mkdir(parents=True)
    to_rewrite = {model.name for model in repository.loaded if model.config.wants_gpu}
    for name in repository.models:
        source, target = repository.directory / name, destination / name
        if name not in to_rewrite:
            target.symlink_to(source.resolve(), target_is_directory=True)
            continue
        message = parse_message(source)
        _place_on_cpu(message)
        _stage(source, target, message)
    return replace(repository, directory=destination)


def install_tenant(tenant: Tenant, names: Mapping[str, str], repository: Path, *, on_cpu: bool) -> None:
    """Write a tenant's models into Triton's repository: symlinks to its files, and a rewritten config.pbtxt each.

    Args:
        tenant: the archive.
        names: the names of its models in Triton, from `names_in_triton`.
        repository: where to write.
        on_cpu: move instance groups that ask for a GPU to the CPU.

    Raises:
        OSError: the disk is full, or the repository can't be written.
        RepositoryError: a configuration is no longer valid.
    """
    for model in tenant.models:
        message = parse_message(model.directory)
        message.name = names[model.name]
        for step in message.ensemble_scheduling.step:
            step.model_name = names.get(step.model_name, step.model_name)
        message.parameters[TENANT_PREFIX].string_value = f"{names[tenant.entry]}{SEPARATOR}"
        for group in message.instance_group:
            group.ClearField("name")  # Triton then uses the model's name, which is unique
        if on_cpu:
            _place_on_cpu(message)
        _stage(model.directory, repository / names[model.name], message)


def _stage(source: Path, target: Path, message: ConfigMessage) -> None:
    target.mkdir(parents=True)
    for entry in source.iterdir():
        if not is_junk(entry.name) and entry.name != CONFIG:
            (target / entry.name).symlink_to(entry.resolve(), target_is_directory=entry.is_dir())
    (target / CONFIG).write_text(text_format.MessageToString(message), encoding="utf-8")


def _place_on_cpu(message: ConfigMessage) -> None:
    for group in message.instance_group:
        if group.kind == ModelInstanceGroup.KIND_GPU or group.gpus:
            group.kind = ModelInstanceGroup.KIND_CPU
            del group.gpus[:]
