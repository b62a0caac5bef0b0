"""Model files outside of the directory where they belong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from serve.repository.findings import Finding
from serve.repository.model import Model
from serve.repository.rules.context import Context

__all__ = ["file_outside", "outside_files"]


def file_outside(context: Context) -> Iterator[Finding]:
    """Find file names outside of the version directory (tenants), or outside of the model directory (single-model).

    A tenant's models are linked into Triton's repository, where such a name could refer to another tenant's file.
    """
    for model in context.models.values():
        for key, file in outside_files(context, model):
            message = f"{key} of {model} is {file!r}"
            remedy = "expected a file in its version directory, without '..'"
            yield context.error(model, "file-outside", message, remedy)


def outside_files(context: Context, model: Model) -> Iterator[tuple[str, str]]:
    """Yield the key and value of each file name that leads outside."""
    levels = 0 if context.origin == "tenant" else 2
    return ((key, file) for key, file in _files(model) if _leads_out(file, levels))


def _files(model: Model) -> Iterator[tuple[str, str]]:
    yield "default_model_filename", model.config.default_model_filename
    for capability, file in model.config.cc_model_filenames.items():
        yield f"cc_model_filenames[{capability}]", file


def _leads_out(file: str, levels: int) -> bool:
    """Tell whether a path leaves the directory `levels` above its start."""
    path = PurePosixPath(file)
    depth = levels
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if depth < 0 or (part == ".." and levels == 0):
            return True
    return path.is_absolute()
