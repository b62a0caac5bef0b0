"""A machine, a repository, and plans made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from serve.app.options import AppOptions
from serve.machine.values import Machine
from serve.plan.endpoint import MultiModel, SingleModel
from serve.plan.make import make_plan
from serve.plan.values import Child, Plan
from serve.repository import InstanceGroup, Model, ModelConfig, Repository
from serve.settings import Settings

__all__ = ["PIPELINE", "REPOSITORY", "child", "flags", "machine", "model", "options", "plan", "planned"]


def model(name: str, backend: str, *groups: InstanceGroup) -> Model:
    return Model(name, Path("/opt/ml/model") / name, ModelConfig(backend=backend, instance_groups=groups))


REPOSITORY = Repository(
    Path("/opt/ml/model"), "resnet", ("encoder", "resnet"), (model("resnet", "onnxruntime", InstanceGroup(count=1)),)
)
PIPELINE = replace(
    REPOSITORY,
    models=("encoder", "pre", "resnet"),
    loaded=(
        model("resnet", "ensemble"),
        model("pre", "python", InstanceGroup(count=3)),
        model("encoder", "onnxruntime", InstanceGroup(count=1)),
    ),
)


def machine(
    *,
    haproxy: str | None = "/usr/sbin/haproxy",
    gpus: int = 0,
    free_ports: tuple[int, ...] = tuple(range(21000, 21008)),
    processors: int = 1,
    free_shared_memory: int | None = None,
    python_backends: tuple[str, ...] = ("python",),
    **environment: str,
) -> Machine:
    return Machine(
        gpus=gpus,
        processors=processors,
        haproxy=haproxy,
        python="/usr/bin/python3",
        free_ports=free_ports,
        work_dir=Path("/run/serve"),
        environment={"PATH": "/bin", "LD_LIBRARY_PATH": "/usr/local/lib", "SECRET": "hidden", **environment},
        free_shared_memory=free_shared_memory,
        python_backends=frozenset(python_backends),
    )


def plan(on: Machine | None = None, **environment: str) -> Plan:
    return planned(REPOSITORY, on, **environment)


def planned(repository: Repository, on: Machine | None = None, **environment: str) -> Plan:
    names = {f"SAGEMAKER_TRITON_{name}": value for name, value in environment.items() if not name.startswith("SAGE")}
    given = {name: value for name, value in environment.items() if name.startswith("SAGE")}
    settings = Settings.from_environment({**names, **given})
    endpoint = MultiModel(repository) if settings.multi_model else SingleModel(repository)
    return make_plan(settings, endpoint, on or machine())


def child(made: Plan, role: str) -> Child:
    """Return the only child of a role."""
    [found] = [child for child in made.children if child.role == role]
    return found


def flags(made: Plan) -> dict[str, str]:
    """Return tritonserver's arguments by name; of one that is repeated, the last."""
    return dict(
        argument.removeprefix("--").partition("=")[::2] for argument in child(made, "tritonserver").arguments[1:]
    )


def options(made: Plan) -> AppOptions:
    return AppOptions.from_json(child(made, "app").arguments[-1])
