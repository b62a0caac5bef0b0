"""What can't work, as far as settings, models and machine tell before anything is started."""

from __future__ import annotations

import shlex

from serve.machine.values import Machine
from serve.plan.endpoint import SingleModel
from serve.plan.models import count_processes
from serve.settings import Settings, SettingsError

__all__ = ["check_additional_arguments", "check_shared_memory"]

MIB = 1024 * 1024

# What serve decides, from variables of its own: with other values than it knows of, its parts don't find each other.
OWN_ARGUMENTS = frozenset(
    {"--model-control-mode", "--model-namespacing"}
    | {f"--allow-{end}" for end in ("http", "grpc", "metrics", "sagemaker")}
    | {f"--{end}-port" for end in ("http", "grpc", "metrics", "sagemaker")}
)


def check_additional_arguments(settings: Settings) -> None:
    """Raise SettingsError if an additional argument is one that `serve` sets."""
    for argument in settings.additional_args:
        if (name := argument.partition("=")[0]) in OWN_ARGUMENTS:
            raise SettingsError(
                f"SAGEMAKER_TRITON_ADDITIONAL_ARGS={shlex.join(settings.additional_args)!r}: {name} is not allowed, "
                "because serve sets it from variables of its own"
            )


def check_shared_memory(settings: Settings, endpoint: SingleModel, machine: Machine) -> None:
    """Raise SettingsError if the processes of the models that are loaded at the start do not fit into /dev/shm."""
    counts = count_processes(endpoint.repository, machine)
    size, free, count = settings.shm_default_byte_size, machine.free_shared_memory, sum(counts.values())
    if free is None or count * size <= free:
        return
    fewer = f"fewer processes ({', '.join(f'{name}: {number}' for name, number in counts.items())})"
    at_most = f"{free // count} at most, or " if free // count >= MIB else ""
    raise SettingsError(
        f"SAGEMAKER_TRITON_SHM_DEFAULT_BYTE_SIZE='{size}': {count} processes of models need {count * size / MIB:.1f} "
        f"MiB of /dev/shm, which has {free / MIB:.1f} MiB left: expected {at_most}{fewer}, set by instance_group in "
        "config.pbtxt, or a larger /dev/shm (docker run --shm-size)"
    )
