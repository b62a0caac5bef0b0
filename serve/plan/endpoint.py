"""What is served, and who answers SageMaker: the two choices that the rest of a plan follows from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serve.machine.values import Machine
from serve.plan.models import count_processes
from serve.plan.values import EndsEndpoint, Restarts
from serve.plan.work_dir import WorkDir
from serve.repository import Repository
from serve.settings import Settings

__all__ = ["Endpoint", "FrontEnd", "Gateway", "MultiModel", "Native", "SingleModel"]


@dataclass(frozen=True)
class Gateway:
    """HAProxy and the app answer SageMaker; without HAProxy, the app alone.

    Attributes:
        haproxy: path of the HAProxy program; None where it is not installed.
    """

    haproxy: str | None


@dataclass(frozen=True)
class Native:
    """Triton's own SageMaker port answers."""


FrontEnd = Gateway | Native


@dataclass(frozen=True)
class SingleModel:
    """One model behind `/invocations`; it and all that it calls are loaded at the start.

    Attributes:
        repository: the model directory.
    """

    repository: Repository

    @property
    def default_model(self) -> str:
        """Return the model that `/invocations` runs."""
        return str(self.repository.default_model)

    @property
    def title(self) -> str:
        """Return what the log calls it."""
        return self.default_model

    @property
    def environment(self) -> dict[str, str]:
        """Return what Triton's SageMaker port reads about it."""
        return {"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": self.default_model, "SAGEMAKER_MULTI_MODEL": "false"}

    @property
    def models(self) -> tuple[str, ...]:
        """Return the models that are loaded at the start."""
        return tuple(model.name for model in self.repository.loaded)

    def repositories(self, front_end: FrontEnd, work: WorkDir) -> tuple[Path, ...]:
        """Return the model repositories that Triton sees."""
        return (self.repository.directory,)

    def namespacing(self, settings: Settings, front_end: FrontEnd) -> bool:
        """Tell whether Triton keeps models of the same name apart."""
        return not settings.disable_model_namespacing

    def threads(self, machine: Machine) -> int | None:
        """Return how many threads each process of a model may take, so that together they don't crowd the CPU.

        None: as many as it likes, because no model runs in a process of its own.
        """
        count = sum(count_processes(self.repository, machine).values())
        return max(1, machine.processors // count) if count else None

    def when_triton_ends(self, front_end: FrontEnd) -> EndsEndpoint | Restarts:
        """Return what follows when tritonserver ends: SageMaker replaces the instance."""
        return EndsEndpoint()


@dataclass(frozen=True)
class MultiModel:
    """Many models, the tenants, which SageMaker loads and unloads.

    Attributes:
        repository: the models that the image shares among tenants; there may be none.
    """

    repository: Repository

    @property
    def title(self) -> str:
        """Return what the log calls it."""
        return "many models"

    @property
    def environment(self) -> dict[str, str]:
        """Return what Triton's SageMaker port reads about it."""
        return {"SAGEMAKER_MULTI_MODEL": "true"}

    @property
    def models(self) -> tuple[str, ...]:
        """Return the models that are loaded at the start: none, not even shared ones."""
        return ()

    def repositories(self, front_end: FrontEnd, work: WorkDir) -> tuple[Path, ...]:
        """Return the model repositories that Triton sees."""
        with_shared = isinstance(front_end, Gateway) and self.repository.models
        return (work.tenant_repository, self.repository.directory) if with_shared else (work.tenant_repository,)

    def namespacing(self, settings: Settings, front_end: FrontEnd) -> bool:
        """Tell whether Triton keeps models of the same name apart.

        Behind the gateway tenants are kept apart by their names, and their ensembles use models of another repository,
        the shared ones.
        """
        return isinstance(front_end, Native) and not settings.disable_model_namespacing

    def threads(self, machine: Machine) -> int:
        """Return how many threads each process of a model may take: nobody knows how many tenants will come."""
        return 1

    def when_triton_ends(self, front_end: FrontEnd) -> EndsEndpoint | Restarts:
        """Return what follows when tritonserver ends.

        Behind the gateway it is started again and the app loads the tenants: a new instance would have lost them.
        """
        return Restarts(tells="app", own_status=True) if isinstance(front_end, Gateway) else EndsEndpoint()


Endpoint = SingleModel | MultiModel
