"""Wheels for an image's Python, downloaded outside the image: the build itself needs no access to PyPI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from byoc.errors import ImageError

__all__ = ["Target", "build", "download", "requirements_for"]

# A wheel is a zip file. With a fixed time (the earliest that zip supports), the same code gives the same wheel.
ZIP_EPOCH = "315532800"


@dataclass(frozen=True)
class Target:
    """The interpreter that wheels are for: its version (3.12.3), machine (x86_64) and glibc version (2.39)."""

    python: str
    machine: str
    glibc: str

    @property
    def python_minor(self) -> str:
        """The version in a wheel's tag: 3.12."""
        return ".".join(self.python.split(".")[:2])

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platform tags of the wheels that its glibc can run, newest first (PEP 600)."""
        newest = Version(self.glibc).minor
        tags = [f"manylinux_2_{minor}_{self.machine}" for minor in range(newest, 4, -1)]
        return (*tags, f"manylinux2014_{self.machine}", f"linux_{self.machine}")

    def markers(self) -> dict[str, str]:
        """The values of its environment markers (PEP 508)."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": self.python,
            "python_version": self.python_minor,
            "sys_platform": "linux",
        }


def requirements_for(lock: str, target: Target) -> str:
    """The lines of a lock file that apply to `target`, with their hashes and without their markers.

    `pip download --python-version` chooses wheels for another Python, but evaluates markers for the running one.
    """
    wanted = []
    for line in re.sub(r"\\\n\s*", "", lock).splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        text, *hashes = line.split(" --hash=")
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(target.markers()):
            requirement.marker = None
            wanted.append(" --hash=".join([str(requirement), *hashes]))
    return "\n".join(wanted) + "\n"


def download(lock: Path, target: Target, directory: Path) -> None:
    """Download the wheels of a lock file, verified by hash, and a requirements.txt that lists them, into `directory`.

    Does nothing if they are there already.

    Raises:
        ImageError: pip cannot download a wheel, or there is none for `target`.
    """
    requirements = requirements_for(lock.read_text("utf-8"), target)
    stamp = directory / "requirements.txt"
    if stamp.is_file() and stamp.read_text("utf-8") == requirements:
        return
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / stamp.name
        file.write_text(requirements, "utf-8")
        platforms = [f"--platform={tag}" for tag in target.platforms]
        # The lock is complete, so --no-deps: pip would resolve dependencies for the Python that runs it.
        options = ["--only-binary=:all:", "--no-deps", "--require-hashes", f"--python-version={target.python_minor}"]
        _pip("download", *options, *platforms, "--dest", str(directory), "--requirement", str(file))
    stamp.write_text(requirements, "utf-8")  # written last: it marks the download as complete


def build(source: Path, directory: Path) -> None:
    """Build the wheel of the checkout `source` into `directory`, which is emptied first. The build is reproducible."""
    shutil.rmtree(directory, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "source"
        tree.mkdir()
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy2(source / name, tree)
        # A copy: setuptools would include what an earlier build left in the checkout's build directory.
        for package in ("serve", "byoc"):
            shutil.copytree(source / package, tree / package, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(directory), str(tree))


def _pip(command: str, *arguments: str) -> None:
    """Run a pip command.

    Raises:
        ImageError: it failed; the message has the end of its output.
    """
    line = [sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", *arguments]
    run = subprocess.run(
        line, check=False, text=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": ZIP_EPOCH}
    )
    if run.returncode != 0:
        tail = "\n".join(run.stderr.strip().splitlines()[-8:])
        remedy = "`byoc build` needs access to PyPI, and the `byoc` extra: pip install '.[byoc]' in a checkout."
        raise ImageError(f"pip {command} failed:\n{tail}\n", remedy)
