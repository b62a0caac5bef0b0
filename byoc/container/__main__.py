"""Serve a model from the image as SageMaker does: read-only, with 64 MB of /dev/shm. `make image-run` runs this.

Without a model it serves the sample models of the image. PORT is the port on this machine (8080). The variables of the
caller that begin with SAGEMAKER_ are passed on. Ctrl-C stops it, a second one kills it. The exit status is that of the
container.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from docker import DockerClient

from byoc.container.docker import MODEL_DIR, DockerContainer, DockerOptions, start_container
from byoc.container.model import model_directory
from byoc.errors import ByocError, ConfigurationError
from byoc.image.engine import connected
from serve import sagemaker

SAMPLE = {"SAGEMAKER_BASE_DIR": "/opt/sample", "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "image_classification"}


def main() -> None:
    """Parse the command line, and exit with the status of the container."""
    parser = argparse.ArgumentParser(
        prog="python -m byoc.container", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image", help="the image, such as triton-byoc:latest")
    parser.add_argument("model", nargs="?", type=Path, help="a model directory, or the model.tar.gz for SageMaker")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops it as Ctrl-C does
    try:
        with options(arguments.model, os.environ) as chosen, connected() as client:
            what = arguments.model or "the sample models"
            sys.exit(run(client, arguments.image, replace(chosen, gpus=has_gpus(client)), str(what)))
    except ByocError as error:
        sys.exit(f"byoc.container: {error}")


@contextmanager
def options(model: Path | None, caller: Mapping[str, str]) -> Iterator[DockerOptions]:
    """Yield how to run the container; an archive is unpacked until the block ends.

    Raises:
        ArchiveError: there is no such model.
        ConfigurationError: PORT is not a port.
    """
    environment = {name: value for name, value in caller.items() if name.startswith("SAGEMAKER_")}
    port = published_port(caller)
    if model is None:
        yield DockerOptions({**SAMPLE, **environment}, port=port)
        return
    with model_directory(model) as directory:
        yield DockerOptions(environment, {MODEL_DIR: directory}, port=port)


def published_port(caller: Mapping[str, str]) -> int:
    """Return the port on this machine. Raises ConfigurationError if PORT is not a port."""
    text = caller.get("PORT") or str(sagemaker.PORT)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ConfigurationError(f"PORT={text!r}: expected a whole number from 1 to 65535")
    return int(text)


def has_gpus(client: DockerClient) -> bool:
    """Tell whether the engine can give GPUs to containers."""
    return "nvidia" in client.info().get("Runtimes", {})


def run(client: DockerClient, image: str, chosen: DockerOptions, what: str) -> int:
    """Run the container and print its output until it ends or Ctrl-C stops it; return its exit status."""
    with start_container(client, image, chosen) as container, ThreadPoolExecutor(1) as pool:
        sys.stderr.write(f"Serving {what} on {container.url}\n")
        printed = pool.submit(print_output, container)
        with suppress(KeyboardInterrupt):
            printed.result()
        return container.stop()


def print_output(container: DockerContainer) -> None:
    """Print what the container prints, until it ends."""
    for part in container.follow():
        sys.stdout.buffer.write(part)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
