"""The `serve` command: what SageMaker runs."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

from serve.plan import Machine, Plan, make_plan
from serve.repository import Repository, RepositoryError, find_models, inspect_repository, stage_for_cpu, wants_gpu
from serve.settings import Settings, SettingsError
from serve.supervisor import supervise

__all__ = ["main"]

logger = logging.getLogger("serve")

USAGE_ERROR = 2
PORT = "SAGEMAKER_BIND_TO_PORT"


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
        except (SettingsError, RepositoryError) as error:
            sys.exit(_refuse(error))
        if options.print_plan:
            print(plan.describe())  # noqa: T201
            return
        if not _is_free(plan.port):
            message = f"{PORT}='{plan.port}': expected a free port, another program listens on this one"
            sys.exit(_refuse(SettingsError(message)))
        for warning in plan.warnings:
            logger.warning("%s", warning)
        logger.info("serving %s on port %d", plan.endpoint, plan.port)
        status = supervise(plan)
    logger.info("ended with status %d", status)
    sys.exit(status)


def _plan(work_dir: Path) -> Plan:
    settings = Settings.from_environment(os.environ)
    machine = Machine(
        gpus=len(list(Path("/dev").glob("nvidia[0-9]*"))),
        processors=len(os.sched_getaffinity(0)),
        haproxy=shutil.which("haproxy"),
        free=_is_free,
        work_dir=work_dir,
        environment=dict(os.environ),
    )
    repository = _repository(settings)
    if machine.gpus == 0:
        repository = _without_gpu(repository, work_dir / "models")
    return make_plan(settings, repository, machine)


def _repository(settings: Settings) -> Repository:
    if not settings.multi_model:
        return inspect_repository(settings.base_dir / "model", settings.default_model_name)
    shared = settings.shared_models_dir
    return Repository(shared, None, find_models(shared) if shared.is_dir() else ())


def _without_gpu(repository: Repository, destination: Path) -> Repository:
    models = wants_gpu(repository)
    if not models:
        return repository
    logger.warning("no GPU here: KIND_GPU of %s runs on the CPU", ", ".join(models))
    return stage_for_cpu(repository, destination)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _refuse(error: Exception) -> int:
    logger.error("%s", error)
    return USAGE_ERROR


if __name__ == "__main__":
    main()
