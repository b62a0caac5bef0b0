"""Where the programs are that an endpoint container runs as a process on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from byoc.errors import ContainerError

__all__ = ["INSTALL_DIR", "PACKAGES", "program_path", "triton_dir"]

INSTALL_DIR = "SAGEMAKER_TRITON_INSTALL_DIR"
PACKAGES = Path(__file__).parents[2]  # holds `byoc` and `serve`: the checkout, or site-packages


def triton_dir(environment: Mapping[str, str]) -> Path:
    """Return the directory of tritonserver: the one the environment names, or that of the checkout.

    Raises:
        ContainerError: it holds no tritonserver.
    """
    named = environment.get(INSTALL_DIR)
    directory = Path(named) if named else PACKAGES / "build" / "tritonserver"
    if (directory / "bin" / "tritonserver").is_file():
        return directory.absolute()
    where = f"{INSTALL_DIR}={named!r}" if named else str(directory)
    raise ContainerError(
        f"{where} has no bin/tritonserver",
        f"Run `make setup` in a checkout of triton-byoc, and set {INSTALL_DIR} to its build/tritonserver if it is not "
        "found there.",
    )


def program_path(path: str, *, haproxy: bool = True) -> str:
    """Return PATH for `serve`: this interpreter's directory first, as Triton's Python models run with the first
    `python3` on PATH and need its packages.

    Args:
        path: the PATH that was inherited.
        haproxy: False leaves out the directories that hold HAProxy.
    """
    directories = [str(Path(sys.executable).parent), *path.split(os.pathsep)]
    return os.pathsep.join(entry for entry in directories if haproxy or not shutil.which("haproxy", path=entry))
