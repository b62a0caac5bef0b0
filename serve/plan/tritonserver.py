"""The first child: tritonserver."""

from __future__ import annotations

from serve.machine.values import SHARED_MEMORY
from serve.plan.endpoint import Native
from serve.plan.inputs import Inputs
from serve.plan.values import Child, NoDrain, SigtermDrain
from serve.triton.command import (
    MESSAGES_OF_SOCKET,
    MESSAGES_WITHOUT_GPU,
    FrontEnds,
    tritonserver_arguments,
    tritonserver_environment,
)

__all__ = ["tritonserver_child"]


def tritonserver_child(inputs: Inputs, front_ends: FrontEnds) -> Child:
    """Return how tritonserver is started.

    Args:
        inputs: what the plan is made from.
        front_ends: where it listens.
    """
    settings, endpoint, machine, work = inputs.settings, inputs.endpoint, inputs.machine, inputs.work
    arguments = tritonserver_arguments(
        settings,
        repositories=endpoint.repositories(inputs.front_end, work),
        models=endpoint.models,
        front_ends=front_ends,
        namespacing=endpoint.namespacing(settings, inputs.front_end),
        gpus=machine.gpus,
        processors=machine.processors,
        python_backends=machine.python_backends,
        shared_memory_prefix=work.shared_memory_prefix,
        # Behind the gateway nothing is in flight by then, but Python models have something to finalize.
        exit_timeout_seconds=inputs.drain_seconds,
    )
    return Child(
        role="tritonserver",
        arguments=arguments,
        when_it_ends=endpoint.when_triton_ends(inputs.front_end),
        drain=SigtermDrain() if isinstance(inputs.front_end, Native) else NoDrain(),
        unloads=True,
        environment=_environment(inputs),
        log_filter=MESSAGES_OF_SOCKET if machine.gpus else f"{MESSAGES_OF_SOCKET}|{MESSAGES_WITHOUT_GPU}",
        cleanup_globs=(work.triton_socket, SHARED_MEMORY / f"{work.shared_memory_prefix}*"),
    )


def _environment(inputs: Inputs) -> dict[str, str]:
    given = inputs.machine.environment | inputs.endpoint.environment
    return tritonserver_environment(inputs.settings, given, inputs.endpoint.threads(inputs.machine))
