"""The `serve` command: what SageMaker runs."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

from serve import sagemaker
from serve.machine.checks import check_machine
from serve.machine.inspect import inspect_machine
from serve.plan.endpoint import MultiModel, SingleModel
from serve.plan.make import make_plan
from serve.plan.values import Plan
from serve.repository import (
    Repository,
    RepositoryError,
    inspect_repository,
    inspect_shared_models,
    stage_for_cpu,
)
from serve.settings import Settings, SettingsError
from serve.supervisor.run import supervise

__all__ = ["main"]

logger = logging.getLogger("serve")

USAGE_ERROR = 2


def main() -> None:
    """Serve the model directory until told to stop; exit with the status of `supervise`, or 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="serve",
        description="Serve the models under /opt/ml on the SageMaker port with Triton Inference Server. Settings are "
        "environment variables: see docs/environment.md.",
    )
    parser.add_argument("--print-plan", action="store_true", help="print what would be started, then exit")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="serve: %(message)s", stream=sys.stdout)
    # As process 1 of a container a signal without a handler is ignored. The supervisor takes over once it runs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="serve-") as work_dir:
        try:
            settings = Settings.from_environment(os.environ)
            plan = _plan(settings, Path(work_dir))
            if options.print_plan:
                print(plan.describe())  # noqa: T201
                return
            check_machine(settings)
        except (SettingsError, RepositoryError) as error:
            sys.exit(_refuse(error))
        _announce(plan)
        status = supervise(plan)
    logger.info("exited with status %d", status)
    sys.exit(status)


def _plan(settings: Settings, work_dir: Path) -> Plan:
    machine = inspect_machine(work_dir, settings)
    repository = _repository(settings)
    if machine.gpus == 0 and any(model.config.wants_gpu for model in repository.loaded):
        repository = stage_for_cpu(repository, work_dir / "models")
    endpoint = MultiModel(repository) if settings.multi_model else SingleModel(repository)
    return make_plan(settings, endpoint, machine)


def _repository(settings: Settings) -> Repository:
    if settings.multi_model:
        return inspect_shared_models(settings.shared_models_dir)
    directory = settings.base_dir / sagemaker.MODEL_SUBDIRECTORY
    return inspect_repository(directory, settings.default_model_name, settings.load_models)


def _announce(plan: Plan) -> None:
    for warning in plan.warnings:
        logger.warning("%s", warning)
    logger.info("serving %s on port %d", plan.endpoint, plan.port)
    if plan.loads:
        logger.info("loading %s", ", ".join(plan.loads))


def _refuse(error: Exception) -> int:
    logger.error("%s", error)
    return USAGE_ERROR


if __name__ == "__main__":
    main()
