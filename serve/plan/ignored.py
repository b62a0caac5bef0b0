"""Variables that are set although they change nothing."""

from __future__ import annotations

from collections.abc import Iterator

from serve.settings import Settings, variables

__all__ = ["ignored"]

NOT_EXPOSED = "that port is not exposed"


def ignored(settings: Settings, gpus: int) -> Iterator[str]:
    """Yield a line for each variable that is set and has no effect, with the reason.

    Args:
        settings: the variables.
        gpus: number of GPUs of this machine.
    """
    table = variables()
    for name, reason in _reasons(settings, gpus):
        if not settings.is_default(name):
            yield f"{table[name].name} has no effect: {reason}"


def _reasons(settings: Settings, gpus: int) -> Iterator[tuple[str, str]]:
    many, native = settings.multi_model, settings.frontend == "native"
    if many:
        yield "default_model_name", "on a multi-model endpoint each archive has its own"
        yield "load_models", "on a multi-model endpoint an archive names what it calls in sagemaker.depends_on"
    if many and native:
        yield "inference_type", "Triton's own SageMaker port runs `infer` on a multi-model endpoint"
    if many and not native:
        yield "disable_model_namespacing", "on a multi-model endpoint namespacing is off"
    if native or not many:
        yield "shared_models_dir", "models are shared on multi-model endpoints, behind the gateway"
    if not settings.allow_http and native:
        yield "http_port", f"{NOT_EXPOSED} (SAGEMAKER_TRITON_ALLOW_HTTP)"
    if not settings.allow_grpc and (native or not many):
        yield "grpc_port", f"{NOT_EXPOSED} (SAGEMAKER_TRITON_ALLOW_GRPC)"
    if not settings.allow_metrics and native:
        yield "metrics_port", f"{NOT_EXPOSED} (SAGEMAKER_TRITON_ALLOW_METRICS)"
    if not gpus:
        yield "model_load_gpu_limit", "there is no GPU here"
