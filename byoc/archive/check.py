"""Would `serve` load it? Asks the code that will, about an outline: the tree with every file empty but config.pbtxt."""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from byoc.archive.entries import Entry
from byoc.errors import ArchiveError
from serve.repository import RepositoryError, find_models, inspect_repository, inspect_tenant, read_config

__all__ = ["CONFIG", "check_entries", "check_tar"]

CONFIG = "config.pbtxt"
_CONFIG_BYTES = 1 << 20
_DEFAULT_MODEL_REMEDY = "Here that is --default-model, or the same variable under `environment:` in endpoint.yaml."


def check_entries(found: Iterable[Entry], shown: Path, default_model: str | None, *, tenant: bool) -> tuple[str, ...]:
    """The names of the models among `found`.

    Args:
        found: what is to be packed.
        shown: what the user knows it as.
        default_model: the model that `/invocations` runs; None for the only one.
        tenant: it is one of the archives of a multi-model endpoint.

    Raises:
        ArchiveError: `serve` would refuse it; says why.
    """
    with tempfile.TemporaryDirectory(prefix="byoc-") as scratch:
        outline = Path(scratch) / shown.resolve().name
        outline.mkdir()
        for name, path in found:
            if path.is_dir():
                (outline / name).mkdir()
            elif path.name == CONFIG:
                shutil.copyfile(path, outline / name)
            else:
                (outline / name).touch()
        return _check(outline, shown, default_model, tenant=tenant)


def check_tar(stream: io.BufferedIOBase, shown: Path, default_model: str | None, *, tenant: bool) -> tuple[str, ...]:
    """The same for a tar file, which is read to its last member; raises tarfile.TarError too."""
    with tempfile.TemporaryDirectory(prefix="byoc-") as scratch:
        outline = Path(scratch) / shown.resolve().name
        outline.mkdir()
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                _outline_member(tar, member, outline, shown)
        return _check(outline, shown, default_model, tenant=tenant)


def _outline_member(tar: tarfile.TarFile, member: tarfile.TarInfo, outline: Path, shown: Path) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
        remedy = "SageMaker takes plain files and directories inside the archive only; `byoc pack` makes such."
        raise ArchiveError(f"{shown} holds {member.name!r}, a link, a device or a path outside", remedy)
    target = outline / name
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member) if name.name == CONFIG else None
    target.write_bytes(content.read(_CONFIG_BYTES) if content else b"")


def _check(outline: Path, shown: Path, default_model: str | None, *, tenant: bool) -> tuple[str, ...]:
    try:
        return _tenant_models(outline) if tenant else _repository_models(outline, default_model)
    except RepositoryError as error:
        message = str(error).replace(str(outline.resolve()), str(shown)).replace(str(outline), str(shown))
        remedy = _DEFAULT_MODEL_REMEDY if "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME" in message else ""
        raise ArchiveError(message, remedy) from error


def _repository_models(outline: Path, default_model: str | None) -> tuple[str, ...]:
    models = inspect_repository(outline, default_model).models
    for model in models:
        read_config(outline / model)
    return models


def _tenant_models(outline: Path) -> tuple[str, ...]:
    """The models of a tenant. What the image shares is not known here: any step may name one of those."""
    configs = [read_config(outline), *(read_config(outline / name) for name in find_models(outline))]
    named = {step.model_name for config in configs for step in config.ensemble_scheduling.step}
    tenant = inspect_tenant(outline, frozenset(named))
    return tuple(name or outline.name for name in tenant.models)
