"""Tenants of a multi-model endpoint: one archive each, of any layout, as models of their own in Triton.

Triton has one flat space of names. A tenant's entry model, the one that an invocation runs, gets the tenant's name,
and every other model of its archive gets that name as a prefix, so that two tenants can have models of the same name. A
step of an ensemble that names no model of the archive refers to a model that the image shares among all tenants.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any

from google.protobuf.message import Message

from serve.repository.checks import mistakes
from serve.repository.config import DEPENDS_ON, called_models, parameter, python_instances, read_config, write_config
from serve.repository.layout import RepositoryError, find_models, is_junk, is_model, tree
from serve.repository.staging import place_on_cpu

__all__ = [
    "REQUIRED_MEMORY_MB",
    "TENANT_PREFIX",
    "Tenant",
    "inspect_tenant",
    "install_tenant",
    "names_in_triton",
]

# A parameter of a config.pbtxt that serve reads …
REQUIRED_MEMORY_MB = "sagemaker.required_memory_mb"
# … and the one that it adds: what a Python model puts before the name of a model of its own archive to call it.
TENANT_PREFIX = "sagemaker.tenant_prefix"

SEPARATOR = "--"
PLAIN_NAME = re.compile(r"(?!.*_[0-9a-f]{16}$)[0-9A-Za-z][0-9A-Za-z._-]{0,99}")  # and unlike those of _digest


@dataclass(frozen=True)
class Tenant:
    """What an archive holds.

    Attributes:
        directory: the extracted archive, symlinks resolved.
        entry: the name of the model that an invocation runs; "" for the model that the archive itself is.
        models: directory of each model of the archive, by name, the entry first.
        shared: the shared models that it uses.
        layers: the names of its models, those that call others before those that they call. Models are unloaded in
            this order, so that a request in flight finds every model that it still needs, and loaded in the other one.
        python_instances: how many processes Triton starts for its Python models.
        required_bytes: host memory that it says it needs, or 0.
        size_bytes: what its files take.
    """

    directory: Path
    entry: str
    models: Mapping[str, Path]
    shared: tuple[str, ...]
    layers: tuple[tuple[str, ...], ...]
    python_instances: int
    required_bytes: int
    size_bytes: int


def inspect_tenant(directory: Path, shared_models: frozenset[str] = frozenset()) -> Tenant:
    """Find the models of an extracted archive, and the one that an invocation runs.

    The archive may be one model itself, hold one directory with a model, or several models of which one calls, directly
    or not, all the others: as the steps of an ensemble, or named in its parameter `sagemaker.depends_on`.

    Raises:
        RepositoryError: no model, a step that names no model, candidates for the entry that can't be told apart, models
            that call each other in a circle, a symlink or a file name that leads out of the archive, an invalid
            configuration.
    """
    if not directory.is_dir():
        raise RepositoryError(f"{directory} is not a directory")
    directory = directory.resolve()
    size_bytes = _size_inside(directory)
    models = {"": directory} if is_model(directory) else {name: directory / name for name in find_models(directory)}
    if not models:
        raise _error(directory, "it holds no model (a directory with config.pbtxt or a numbered version directory)")
    configs = {name: read_config(path) for name, path in models.items()}
    for name, config in configs.items():
        for mistake in chain(_files_outside(_shown(name), config), mistakes(_shown(name), models[name], config)):
            raise _error(directory, mistake)
    own = {
        name: tuple(called for called in called_models(config) if called in models) for name, config in configs.items()
    }
    shared = _shared(directory, configs, models, shared_models)
    entry = _entry(directory, own)
    return Tenant(
        directory=directory,
        entry=entry,
        models={name: models[name] for name in (entry, *(name for name in models if name != entry))},
        shared=shared,
        layers=_layers(directory, entry, own),
        python_instances=sum(python_instances(models[name], config) for name, config in configs.items()),
        required_bytes=sum(_required_bytes(models[name], config) for name, config in configs.items()),
        size_bytes=size_bytes,
    )


def names_in_triton(
    name: str, tenant: Tenant, shared_models: frozenset[str] = frozenset(), taken: frozenset[str] = frozenset()
) -> dict[str, str]:
    """Return what each model of a tenant is called in Triton.

    Args:
        name: what SageMaker calls the tenant; any text without "/".
        tenant: its archive.
        shared_models: the names of the models that the image shares.
        taken: further names that can't be used.
    """
    entry = _plain(name) if name not in shared_models and SEPARATOR not in name else _digest(name)
    for attempt in count(1):
        names = {
            model: entry if model == tenant.entry else f"{entry}{SEPARATOR}{_plain(model)}" for model in tenant.models
        }
        if taken.isdisjoint(names.values()):
            break
        entry = _digest(f"{name}/{attempt}")
    return names


def install_tenant(tenant: Tenant, names: Mapping[str, str], repository: Path, *, on_cpu: bool) -> None:
    """Write a tenant's models into Triton's repository: symlinks to its files, and a rewritten config.pbtxt each.

    Args:
        tenant: the archive.
        names: what each of its models is called, from `names_in_triton`.
        repository: where to write.
        on_cpu: move instance groups that ask for a GPU to the CPU.

    Raises:
        OSError: the disk is full, or the repository can't be written.
        RepositoryError: a configuration is not valid any more.
    """
    for model, source in tenant.models.items():
        target = repository / names[model]
        target.mkdir(parents=True)
        for entry in source.iterdir():
            if not is_junk(entry.name) and entry.name != "config.pbtxt":
                (target / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())
        config = read_config(source)
        config.name = names[model]
        for step in config.ensemble_scheduling.step:
            step.model_name = names.get(step.model_name, step.model_name)
        config.parameters[TENANT_PREFIX].string_value = f"{names[tenant.entry]}{SEPARATOR}"
        for group in config.instance_group:
            group.ClearField("name")  # Triton then names it after the model, which no other tenant has
        if on_cpu:
            place_on_cpu(config)
        write_config(target, config)


def _plain(name: str) -> str:
    return name if PLAIN_NAME.fullmatch(name) else _digest(name)


def _digest(name: str) -> str:
    """Return a name that Triton, its URLs and the file system take, and that no other name has."""
    readable = re.sub(r"[^0-9A-Za-z]+", "_", name)[:40]
    return f"{readable}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _size_inside(directory: Path) -> int:
    """Return the size of an archive's files.

    Raises:
        RepositoryError: a symlink leads out of the archive.
    """
    size = 0
    for parent, directories, files in os.walk(directory):
        for path in (Path(parent, name) for name in (*directories, *files)):
            if path.is_symlink() and not _resolved(path, directory).is_relative_to(directory):
                raise RepositoryError(
                    f"{path.relative_to(directory)} is a symlink to {path.readlink()}, which is outside of the "
                    "archive: pack the file itself"
                )
        size += sum(path.stat().st_size for path in (Path(parent, name) for name in files) if path.exists())
    return size


def _files_outside(name: str, config: Any) -> Iterator[str]:
    """Yield the files of a model that its configuration looks for outside of the model's version."""
    files = {
        "default_model_filename": config.default_model_filename,
        **{f"cc_model_filenames[{capability}]": file for capability, file in config.cc_model_filenames.items()},
    }
    for key, file in files.items():
        if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
            yield f"{key} of {name} is {file!r}: expected a file in its version directory, without '..'"


def _resolved(path: Path, directory: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise RepositoryError(f"{path.relative_to(directory)} is a symlink that leads nowhere: {error}") from None


def _shared(
    directory: Path, configs: Mapping[str, Message], models: Mapping[str, Path], shared_models: frozenset[str]
) -> tuple[str, ...]:
    used = []
    for name, config in configs.items():
        for called in called_models(config):
            if called in models:
                continue
            if called not in shared_models:
                offered = ", ".join(sorted(shared_models)) or "none"
                raise _error(
                    directory,
                    f"{_shown(name)} calls the model {called!r}, which is neither in the archive "
                    f"({', '.join(map(_shown, models))}) nor shared by the image ({offered})",
                )
            used.append(called)
    return tuple(dict.fromkeys(used))


def _entry(directory: Path, own: Mapping[str, tuple[str, ...]]) -> str:
    called = {name for names in own.values() for name in names}
    candidates = [name for name in own if name not in called]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise _error(directory, f"its models call each other in a circle: {', '.join(own)}")
    raise _error(
        directory,
        f"{len(candidates)} of its models are called by none of the others ({', '.join(candidates)}): keep the one "
        f"that an invocation runs, or name what it calls in its parameter {DEPENDS_ON!r}",
    )


def _layers(directory: Path, entry: str, own: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Return the models in layers: each model in a later one than every model that calls it."""
    depth = {entry: 0}
    for _ in own:
        for name in [name for name in own if name in depth]:
            for called in own[name]:
                depth[called] = max(depth.get(called, 0), depth[name] + 1)
    if max(depth.values()) >= len(own) or len(depth) < len(own):
        raise _error(directory, f"its models call each other in a circle: {', '.join(own)}")
    return tuple(tuple(name for name in own if depth[name] == layer) for layer in range(max(depth.values()) + 1))


def _required_bytes(model: Path, config: Any) -> int:
    text = parameter(config, REQUIRED_MEMORY_MB)
    if not text:
        return 0
    if not re.fullmatch("[0-9]{1,9}", text):
        raise RepositoryError(
            f"{model / 'config.pbtxt'}: parameter {REQUIRED_MEMORY_MB!r} is {text!r}: expected a whole number of MiB"
        )
    return int(text) * 1024 * 1024


def _shown(name: str) -> str:
    return name or "the model at the root of the archive"


def _error(directory: Path, reason: str) -> RepositoryError:
    return RepositoryError(f"the archive can't be served: {reason}.\nFound:\n{tree(directory)}")
