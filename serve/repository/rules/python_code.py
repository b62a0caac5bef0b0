"""A Python model without its code: Triton 2.51 never finishes loading it."""

from __future__ import annotations

from collections.abc import Iterator

from serve.repository.findings import Finding
from serve.repository.layout import version_directories
from serve.repository.rules.context import Context
from serve.repository.rules.file_outside import outside_files

__all__ = ["python_code"]


def python_code(context: Context) -> Iterator[Finding]:
    """Find served versions of Python models that have no code."""
    for model in context.models.values():
        if model.config.backend != "python" or any(outside_files(context, model)):
            continue  # whether another tenant's file exists must not be told
        versions = version_directories(model.directory)
        for version in model.config.version_policy.served(tuple(versions)):
            file = model.config.default_model_filename or "model.py"
            if not (versions[version] / file).is_file():
                message = f"{model} is a Python model without {version}/{file}"
                yield context.error(model, "python-without-code", message, "add the file")
