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
from serve.machine.inspect import inspect_machine, is_free
from serve.plan.make import Plan, make_plan
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
PORT = "SAGEMAKER_BIND_TO_PORT"
INSTALL_DIR = "SAGEMAKER_TRITON_INSTALL_DIR"


def main() -> None:
    """Serve the model directory until told to stop; exit with the status of `supervise`, or 2 for bad input."""
    parser = argparse.ArgumentParser(prog="serve", description="Serve /opt/ml/model on the SageMaker port.")
    parser.add_argument("--print-plan", action="store_true", help="print what would be started, and start nothing")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="serve: %(message)s", stream=sys.stdout)
    # As process 1 of a container a signal without a handler is ignored. The supervisor takes over once it runs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="serve-") as work_dir:
        try:
            plan = _plan(Path(work_dir))
            if options.print_plan:
                print(plan.describe())  # noqa: T201
                return
            _check_start(plan)
        except (SettingsError, RepositoryError) as error:
            sys.exit(_refuse(error))
        for warning in plan.warnings:
            logger.warning("%s", warning)
        logger.info("serving %s on port %d", plan.endpoint, plan.port)
        if plan.loads:
            logger.info("loading %s", ", ".join(plan.loads))
        status = supervise(plan)
    logger.info("ended with status %d", status)
    sys.exit(status)


def _plan(work_dir: Path) -> Plan:
    settings = Settings.from_environment(os.environ)
    machine = inspect_machine(work_dir, settings.install_dir)
    repository = _repository(settings)
    if machine.gpus == 0 and any(model.config.wants_gpu for model in repository.loaded):
        repository = stage_for_cpu(repository, work_dir / "models")
    return make_plan(settings, repository, machine)


def _repository(settings: Settings) -> Repository:
    if settings.multi_model:
        return inspect_shared_models(settings.shared_models_dir)
    directory = settings.base_dir / sagemaker.MODEL_SUBDIRECTORY
    return inspect_repository(directory, settings.default_model_name, settings.load_models)


def _check_start(plan: Plan) -> None:
    """Refuse what would fail once it is started."""
    program = Path(plan.children[0].arguments[0])
    if not program.is_file():
        raise SettingsError(f"{INSTALL_DIR}='{program.parents[1]}': expected a directory that holds bin/tritonserver")
    if not is_free(plan.port):
        raise SettingsError(f"{PORT}='{plan.port}': expected a free port, another program listens on this one")


def _refuse(error: Exception) -> int:
    logger.error("%s", error)
    return USAGE_ERROR


if __name__ == "__main__":
    main()
