"""What a plan is made from."""

from __future__ import annotations

from dataclasses import dataclass

from serve.machine.values import Machine
from serve.plan.endpoint import Endpoint, FrontEnd
from serve.plan.work_dir import WorkDir
from serve.settings import Settings

__all__ = ["Inputs"]


@dataclass(frozen=True)
class Inputs:
    """Everything that is known before anything is started.

    Attributes:
        settings: the environment variables.
        endpoint: what is served.
        front_end: who answers SageMaker.
        machine: the machine.
        drain_seconds: how long requests in flight may take once `serve` is told to stop.
    """

    settings: Settings
    endpoint: Endpoint
    front_end: FrontEnd
    machine: Machine
    drain_seconds: int

    @property
    def work(self) -> WorkDir:
        """Return where this container's own files lie."""
        return WorkDir(self.machine.work_dir)
