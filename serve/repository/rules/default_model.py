"""The models that the variables of a single-model endpoint name."""

from __future__ import annotations

from collections.abc import Iterator

from serve.repository.findings import Finding
from serve.repository.rules.context import Context

__all__ = ["default_model"]


def default_model(context: Context) -> Iterator[Finding]:
    """Find a missing default among several models, and names of models that don't exist."""
    if context.origin != "single" or not context.names:
        return
    names = ", ".join(context.names)
    if context.default_model is None and len(context.names) > 1:
        message = f"it holds {len(context.names)} models ({names})"
        remedy = "set SAGEMAKER_TRITON_DEFAULT_MODEL_NAME to the one that /invocations runs"
        yield Finding("no-default-model", "error", message, remedy)
    if context.default_model is not None and context.default_model not in context.names:
        message = f"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME={context.default_model!r} is not in it"
        yield Finding("unknown-default-model", "error", message, f"expected one of {names}")
    for name in context.load_models:
        if name not in context.names:
            message = f"SAGEMAKER_TRITON_LOAD_MODELS names {name!r}, which is not in it"
            yield Finding("unknown-load-model", "error", message, f"expected some of {names}")
