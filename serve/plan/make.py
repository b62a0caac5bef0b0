"""From settings, models and the machine to what will be started. Pure: looks at nothing, starts nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from serve import sagemaker
from serve.machine.values import Machine
from serve.plan.checks import check_additional_arguments, check_shared_memory
from serve.plan.endpoint import Endpoint, Gateway, MultiModel, Native, SingleModel
from serve.plan.gateway import app_child, haproxy_child, haproxy_files
from serve.plan.ignored import ignored
from serve.plan.inputs import Inputs
from serve.plan.models import describe_model
from serve.plan.ports import http_socket, ports
from serve.plan.tritonserver import tritonserver_child
from serve.plan.values import Child, Plan
from serve.settings import Settings
from serve.triton.command import FrontEnds, SageMakerPort

__all__ = ["DRAIN_SECONDS", "make_plan"]

# What is left of the time between SIGTERM and SIGKILL is for tritonserver to unload its models.
DRAIN_SECONDS = sagemaker.STOP_SECONDS - 5

NO_HAPROXY = "HAProxy is not installed: the app answers every request itself, which is slower"


def make_plan(settings: Settings, endpoint: Endpoint, machine: Machine, drain_seconds: int = DRAIN_SECONDS) -> Plan:
    """Decide what to start on one machine.

    Args:
        settings: the environment variables.
        endpoint: what is served.
        machine: the machine.
        drain_seconds: how long requests in flight may take once `serve` is told to stop.

    Raises:
        SettingsError: there are too few free ports, the processes of the models do not fit into the shared memory, or
            an argument is one that `serve` sets.
    """
    check_additional_arguments(settings)
    if isinstance(endpoint, SingleModel):
        check_shared_memory(settings, endpoint, machine)
    front_end = Native() if settings.frontend == "native" else Gateway(machine.haproxy)
    inputs = Inputs(settings, endpoint, front_end, machine, drain_seconds)
    children, files = _started(inputs)
    models = tuple(describe_model(model, machine) for model in endpoint.repository.loaded)
    multi_model = isinstance(endpoint, MultiModel)
    return Plan(
        endpoint=endpoint.title,
        children=children,
        port=settings.bind_to_port,
        drain_seconds=drain_seconds,
        repositories=endpoint.repositories(front_end, inputs.work),
        directories=(inputs.work.tenant_repository, inputs.work.tenant_records) if multi_model else (),
        files=files,
        warnings=tuple(_warnings(inputs)),
        loads=() if multi_model else models,
        shares=models if multi_model else (),
    )


def _started(inputs: Inputs) -> tuple[tuple[Child, ...], dict[Path, str]]:
    """Return the children, in the order of their start, and the files that they read."""
    settings, front_end = inputs.settings, inputs.front_end
    given = ports(settings, inputs.endpoint, front_end, inputs.machine.free_ports)
    if isinstance(front_end, Native):
        sagemaker_port = SageMakerPort(settings.bind_to_port, settings.safe_port_range)
        front_ends = FrontEnds(given.get("http"), given.get("grpc"), given.get("metrics"), sagemaker_port)
        return (tritonserver_child(inputs, front_ends),), {}
    http = http_socket(settings, inputs.work.triton_socket) or given["http"]
    tritonserver = tritonserver_child(inputs, FrontEnds(http, given.get("grpc"), given.get("metrics")))
    if front_end.haproxy is None:
        return (tritonserver, app_child(inputs, http, given, behind_haproxy=False)), {}
    app = app_child(inputs, http, given, behind_haproxy=True)
    return (tritonserver, app, haproxy_child(inputs, front_end.haproxy)), haproxy_files(inputs, http)


def _warnings(inputs: Inputs) -> Iterator[str]:
    settings, repository = inputs.settings, inputs.endpoint.repository
    on_gpu = [model.name for model in repository.loaded if model.config.wants_gpu]
    if on_gpu and not inputs.machine.gpus:
        yield f"no GPU here: KIND_GPU of {', '.join(on_gpu)} runs on the CPU"
    if inputs.front_end == Gateway(None):
        yield NO_HAPROXY
    if (
        isinstance(inputs.endpoint, MultiModel)
        and not repository.models
        and not settings.is_default("shared_models_dir")
    ):
        yield f"SAGEMAKER_TRITON_SHARED_MODELS_DIR={str(settings.shared_models_dir)!r}: there is no model to share"
    yield from ignored(settings, inputs.machine.gpus)
    yield from map(str, repository.warnings)
