"""The kernel kills a Python model's process for lack of memory: 507, on a load and on an invocation.

Needs a memory control group of its own, as a container has: made here where the kernel has version 1 of them and lets
us. It is mounted, in a mount namespace of its own, where a container sees its group.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.multi_model.archives import ensemble, word, write_archive
from tests.serve.multi_model.conftest import write_shared_models
from tests.serve.multi_model.endpoint import Endpoint, await_true
from tests.serving import RunningServe, serve_environment
from tests.triton import ROOT

MOUNTED = Path("/sys/fs/cgroup/memory")
LIMIT_MIB = 900
TOO_MUCH = str(2 * LIMIT_MIB)
ENTER = 'echo $$ > "$1/cgroup.procs" && mount --bind "$1" "$2" && shift 2 && exec "$@"'


@pytest.fixture(scope="module")
def control_group() -> Iterator[Path]:
    """A control group that may take 900 MiB."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = next((line.split(":")[2] for line in lines if line.split(":")[1] == "memory"), None)
    if own is None:
        pytest.skip("this kernel has no memory control groups of version 1")
    group = Path(f"{MOUNTED}{own}") / f"multi-model-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    (group / "memory.limit_in_bytes").write_text(str(LIMIT_MIB * 1024**2))
    yield group
    await_true(lambda: not (group / "cgroup.procs").read_text(), "all of its processes have ended")
    group.rmdir()


@pytest.fixture(scope="module")
def confined(control_group: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A multi-model endpoint in the control group."""
    directory = tmp_path_factory.mktemp("confined")
    (directory / "models").mkdir()
    environment = {
        **os.environ,
        **serve_environment(directory),
        "SAGEMAKER_MULTI_MODEL": "true",
        "SAGEMAKER_TRITON_SHARED_MODELS_DIR": str(write_shared_models(directory / "shared")),
    }
    # A process that is killed for memory leaves nothing for the swap to hide.
    command = ["unshare", "--mount", "sh", "-c", ENTER, "sh", str(control_group), str(MOUNTED)]
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, sys.executable, "-m", "serve"], env=environment, stdout=output, stderr=output, cwd=ROOT
        )
    serve = RunningServe(int(environment["SAGEMAKER_BIND_TO_PORT"]), process, log, environment)
    try:
        serve.await_ready()
        yield Endpoint(serve, directory / "models")
    finally:
        serve.stop()


def test_killed_while_loading(confined: Endpoint) -> None:
    models = {"pipeline": ensemble("probe", "glutton"), "glutton": word(fill=TOO_MUCH)}
    answer = confined.load("glutton", write_archive(confined.models_dir / "glutton" / "model", models))
    assert answer.status == 507, answer
    assert "the kernel killed a process of the model for lack of memory" in answer.error()
    assert confined.left() == {}
    assert confined.serve.ping() == 200


def test_killed_while_answering(confined: Endpoint) -> None:
    """The tenant that lost its process is unloaded; another is not touched."""
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
