"""What the gateway adds to tritonserver: the app and, where it is installed, HAProxy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from serve import sagemaker
from serve.app.options import AppOptions, BehindHAProxy, MultiModelOptions, OnPort, SingleModelOptions
from serve.front_door import STOP_MESSAGES, FrontDoor, ServedModel, TenantMaps, render
from serve.plan.endpoint import MultiModel, SingleModel
from serve.plan.inputs import Inputs
from serve.plan.ports import Service
from serve.plan.values import AdminDrain, Child, NoDrain, Restarts, SigtermDrain
from serve.triton.command import STOCK_THREADS, Port, Socket

__all__ = ["app_child", "haproxy_child", "haproxy_files"]

# One thread of HAProxy passes on what several processors compute. On two processors a second thread makes each request
# cost half as much again (42 instead of 28 µs).
PROCESSORS_PER_THREAD = 4


def app_child(inputs: Inputs, http: Port | Socket, ports: Mapping[Service, Port], *, behind_haproxy: bool) -> Child:
    """Return how the app is started.

    Args:
        inputs: what the plan is made from.
        http: where Triton's HTTP front end listens.
        ports: where Triton's other front ends listen.
        behind_haproxy: whether HAProxy is the front door, and not the app itself.
    """
    settings, work = inputs.settings, inputs.work
    options = AppOptions(
        serves=_served(inputs, ports),
        listen=BehindHAProxy(str(work.app_socket), str(work.metrics_socket), str(work.admin_socket))
        if behind_haproxy
        else OnPort(settings.bind_to_port),
        triton_http=http.address,
        triton_metrics=f"http://{ports['metrics'].address}/metrics",
        inference_type=settings.inference_type,
        ping_mode=settings.ping_mode,
        python_backends=tuple(sorted(inputs.machine.python_backends)),
        gpus=inputs.machine.gpus,
        max_concurrent_transforms=settings.thread_count or STOCK_THREADS,
        drain_seconds=inputs.drain_seconds,
    )
    return Child(
        role="app",
        # Isolated (-I): Triton's image sets PYTHONPATH, for the packages of its DALI backend, which would hide ours.
        arguments=(inputs.machine.python, "-I", "-m", "serve.app", options.to_json()),
        when_it_ends=Restarts(),
        drain=NoDrain() if behind_haproxy else SigtermDrain(),
    )


def haproxy_child(inputs: Inputs, program: str) -> Child:
    """Return how HAProxy is started.

    Args:
        inputs: what the plan is made from.
        program: its path.
    """
    return Child(
        role="haproxy",
        arguments=(program, "-db", "-f", str(inputs.work.haproxy_configuration)),
        when_it_ends=Restarts(),
        drain=AdminDrain(inputs.work.admin_socket),
        log_filter=STOP_MESSAGES,
        # One model: the processors are better used by those who compute while HAProxy gathers what it will pass on
        # next. Many: whatever a load computes, HAProxy must not wait for it.
        sched_batch=isinstance(inputs.endpoint, SingleModel),
    )


def haproxy_files(inputs: Inputs, http: Port | Socket) -> dict[Path, str]:
    """Return the files that HAProxy reads, path → content.

    Args:
        inputs: what the plan is made from.
        http: where Triton's HTTP front end listens.
    """
    work, endpoint = inputs.work, inputs.endpoint
    maps = {work.tenant_map: "", work.memory_map: ""} if isinstance(endpoint, MultiModel) else {}
    front_door = FrontDoor(
        port=inputs.settings.bind_to_port,
        triton=http.address,
        serves=TenantMaps(work.tenant_map, work.memory_map)
        if isinstance(endpoint, MultiModel)
        else ServedModel(endpoint.default_model),
        inference_type=inputs.settings.inference_type,
        app_socket=work.app_socket,
        metrics_socket=work.metrics_socket,
        admin_socket=work.admin_socket,
        drain_seconds=inputs.drain_seconds,
        threads=max(1, inputs.machine.processors // PROCESSORS_PER_THREAD),
    )
    return {work.haproxy_configuration: render(front_door), **maps}


def _served(inputs: Inputs, ports: Mapping[Service, Port]) -> SingleModelOptions | MultiModelOptions:
    endpoint, work = inputs.endpoint, inputs.work
    if isinstance(endpoint, SingleModel):
        return SingleModelOptions(endpoint.default_model, endpoint.models)
    return MultiModelOptions(
        triton_grpc=ports["grpc"].address,
        models_dir=str(inputs.settings.base_dir / sagemaker.MODELS_SUBDIRECTORY),
        tenant_repository=str(work.tenant_repository),
        records_dir=str(work.tenant_records),
        tenant_map=str(work.tenant_map),
        memory_map=str(work.memory_map),
        shared_models=endpoint.repository.models,
        shm_bytes=inputs.settings.shm_default_byte_size,
    )
