"""The kernel kills a Python model's process for lack of memory: 507, on a load and on an invocation.

Needs a memory control group of its own, as a container has, version 1 or 2: made here where the kernel lets us. It is
mounted, in a mount namespace of its own, where a container sees its group.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.serve.multi_model.archives import ensemble, word, write_archive
from tests.serve.multi_model.conftest import write_shared_models
from tests.serve.multi_model.endpoint import Endpoint, await_true
from tests.serving import RunningServe, reserved_environment
from tests.triton import ROOT

MOUNTED = Path("/sys/fs/cgroup")
LIMIT_MIB = 900
TOO_MUCH = str(2 * LIMIT_MIB)
ENTER = 'echo $$ > "$1/cgroup.procs" && mount --bind "$1" "$2" && shift 2 && exec "$@"'


@dataclass(frozen=True)
class ControlGroup:
    """A memory control group.

    Attributes:
        directory: where it was made.
        seen_at: where a container sees its own.
    """

    directory: Path
    seen_at: Path

    def limit(self, mib: int) -> None:
        names = ("memory.max", "memory.limit_in_bytes")
        [limit] = [path for name in names if (path := self.directory / name).exists()]
        limit.write_text(str(mib * 1024**2))
        with suppress(OSError):  # there is none: what is swapped out would not be killed
            (self.directory / "memory.swap.max").write_text("0")


def new_control_group(name: str) -> ControlGroup:
    """Make a memory control group: below our own or, as not all of version 2 hand memory on, one around it.

    Raises:
        OSError: the kernel does not let us; says why not.
    """
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    own = {controllers: path.strip("/") for _, controllers, path in lines}
    if "memory" in own:
        group = ControlGroup(MOUNTED / "memory" / own["memory"] / name, MOUNTED / "memory")
        group.directory.mkdir()
        return group
    innermost = MOUNTED / own.get("", "")
    for parent in (innermost, *innermost.parents):
        group = ControlGroup(parent / name, MOUNTED)
        if (parent / "cgroup.subtree_control").exists():
            with suppress(OSError):  # it does already, or has processes of its own and can't
                (parent / "cgroup.subtree_control").write_text("+memory")
            group.directory.mkdir()
            if (group.directory / "memory.max").exists():
                return group
            group.directory.rmdir()
    raise OSError(f"no group from {innermost} up hands memory on to the groups below it")


@pytest.fixture(scope="module")
def control_group() -> Iterator[ControlGroup]:
    """A control group of 900 MiB. Where there can't be one the tests fail in CI, and are skipped elsewhere."""
    try:
        group = new_control_group(f"multi-model-{os.getpid()}")
    except OSError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no control group can be made: {error}")
        pytest.skip(f"no control group can be made: {error}")
    group.limit(LIMIT_MIB)
    yield group
    await_true(lambda: not (group.directory / "cgroup.procs").read_text(), "all of its processes have ended")
    group.directory.rmdir()


@pytest.fixture(scope="module")
def confined(control_group: ControlGroup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A multi-model endpoint in the control group."""
    directory = tmp_path_factory.mktemp("confined")
    (directory / "models").mkdir()
    with reserved_environment(directory) as own, confined_serve(control_group, directory, own) as serve:
        serve.await_ready()
        yield Endpoint(serve, directory / "models")


def confined_serve(control_group: ControlGroup, directory: Path, own: Mapping[str, str]) -> RunningServe:
    environment = {
        **own,
        "SAGEMAKER_MULTI_MODEL": "true",
        "SAGEMAKER_TRITON_SHARED_MODELS_DIR": str(write_shared_models(directory / "shared")),
    }
    # A process that is killed for memory leaves nothing for the swap to hide.
    places = [str(control_group.directory), str(control_group.seen_at)]
    command = ["unshare", "--mount", "sh", "-c", ENTER, "sh", *places]
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, sys.executable, "-m", "serve"], env=environment, stdout=output, stderr=output, cwd=ROOT
        )
    return RunningServe(int(environment["SAGEMAKER_BIND_TO_PORT"]), process, log, environment)


def test_killed_while_loading(confined: Endpoint) -> None:
    models = {"pipeline": ensemble("probe", "glutton"), "glutton": word(fill=TOO_MUCH)}
    answer = confined.load("glutton", write_archive(confined.models_dir / "glutton" / "model", models))
    assert answer.status == 507, answer
    assert "the kernel killed a process of the model for lack of memory" in answer.error()
    assert confined.left() == {}
    assert confined.serve.ping() == 200


def test_killed_while_answering(confined: Endpoint) -> None:
    """The tenant that lost its process is unloaded; others are not affected."""
    url = write_archive(confined.models_dir / "glutton" / "model", word(fill_on_execute=TOO_MUCH))
    assert confined.load("glutton", url).status == 200
    other = write_archive(confined.models_dir / "modest" / "model", {"pipeline": ensemble("probe")})
    assert confined.load("modest", other).status == 200
    answer = confined.invoke("glutton")
    assert answer.status == 507, answer
    assert answer.error()
    await_true(lambda: confined.get("glutton").status == 404, "the tenant is unloaded")
    assert confined.said("modest") == "hello"
    assert confined.load("glutton", url).status == 200
    assert confined.unload("glutton").status == 200
    assert confined.unload("modest").status == 200
    assert not confined.installed()
    assert not confined.records()


def test_what_is_left_of_the_group_is_checked_first(confined: Endpoint) -> None:
    models = word(sagemaker__required_memory_mb=str(LIMIT_MIB))
    answer = confined.load("large", write_archive(confined.models_dir / "large" / "model", models))
    assert answer.status == 507
    assert f"{LIMIT_MIB} MiB are needed" in answer.error()
