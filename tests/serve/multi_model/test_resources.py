"""What is left of a container's memory: the arithmetic, with the files of control groups of version 1 and 2."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil
import pynvml
import pytest

from serve.machine.resources import Resources
from serve.repository import Runtime, Tenant
from serve.tenants import admission as module
from serve.tenants.admission import Admission, NoRoomError, Usage
from serve.tenants.store import LoadedTenant, Store

MIB = 1024**2
V1 = {
    "memory/memory.limit_in_bytes": f"{1000 * MIB}\n",
    "memory/memory.usage_in_bytes": f"{700 * MIB}\n",
    "memory/memory.stat": f"cache {300 * MIB}\ninactive_file 1\ntotal_inactive_file {200 * MIB}\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
}
V2 = {
    "memory.max": f"{1000 * MIB}\n",
    "memory.current": f"{700 * MIB}\n",
    "memory.stat": f"anon {400 * MIB}\nfile {300 * MIB}\ninactive_file {200 * MIB}\n",
    "memory.events": "low 0\nhigh 0\nmax 12\noom 4\noom_kill 3\noom_group_kill 0\n",
}


def resources(directory: Path, files: dict[str, str]) -> Resources:
    for name, content in files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(content)
    return Resources(directory, cgroup=directory)


@pytest.mark.parametrize("files", [V1, V2], ids=["version 1", "version 2"])
def test_the_limit_of_a_control_group(tmp_path: Path, files: dict[str, str]) -> None:
    """What can be dropped of the page cache counts as free."""
    assert resources(tmp_path, files).free_memory() == 500 * MIB
    assert resources(tmp_path, files).kills_for_memory() == 3


@pytest.mark.parametrize(
    "files",
    [
        {},
        {**V2, "memory.max": "max\n"},
        {**V1, "memory/memory.limit_in_bytes": "9223372036854771712\n"},
    ],
    ids=["no control group", "version 2", "version 1"],
)
def test_without_a_limit_the_machine_counts(tmp_path: Path, files: dict[str, str]) -> None:
    left = resources(tmp_path, files).free_memory()
    assert left == pytest.approx(psutil.virtual_memory().available, rel=0.2)


@pytest.mark.parametrize(
    ("files", "path"),
    [(V1, "memory/memory.usage_in_bytes"), (V2, "memory.current")],
    ids=["version 1", "version 2"],
)
def test_more_in_use_than_allowed(tmp_path: Path, files: dict[str, str], path: str) -> None:
    assert resources(tmp_path, {**files, path: f"{1300 * MIB}\n"}).free_memory() == 0


def tenant(size_mib: int = 0, required_mib: int = 0) -> Tenant:
    return Tenant(
        directory=Path("/a"),
        entry="",
        models=(),
        shared=(),
        layers=(),
        required_bytes=required_mib * MIB,
        size_bytes=size_mib * MIB,
    )


def test_a_load_is_checked_against_what_is_left(tmp_path: Path) -> None:
    admission = Admission(resources(tmp_path, V2), shm_bytes=MIB, runtime=Runtime())
    with admission.admit(tenant(required_mib=500)):
        pass
    with (
        pytest.raises(NoRoomError, match=r"host memory: 501 MiB are needed, 500 MiB are left"),
        admission.admit(tenant(required_mib=501)),
    ):
        pass


def test_loads_under_way_count(tmp_path: Path) -> None:
    admission = Admission(resources(tmp_path, V2), shm_bytes=MIB, runtime=Runtime())
    with admission.admit(tenant(required_mib=300)):
        with pytest.raises(NoRoomError, match="200 MiB are left"), admission.admit(tenant(required_mib=201)):
            pass
        with admission.admit(tenant(required_mib=200)):
            pass
    with admission.admit(tenant(required_mib=500)):
        pass


@dataclass
class Machine(Resources):
    """A machine whose memory we set, in MiB."""

    host: int = 10_000
    gpu: int | None = None

    def free_memory(self) -> int:
        return self.host * MIB

    def free_shared_memory(self) -> int:
        return 1000 * MIB

    def free_disk(self) -> int:
        return 1000 * MIB

    def free_gpu_memory(self) -> int | None:
        return None if self.gpu is None else self.gpu * MIB


def fits(admission: Admission, mib: int) -> bool:
    """Tell whether a load would be admitted, by one that fails at once: it takes nothing."""
    try:
        with admission.admit(tenant(required_mib=mib)):
            raise InterruptedError
    except InterruptedError:
        return True
    except NoRoomError:
        return False


def test_what_a_load_under_way_has_taken_counts_once() -> None:
    """Half of what it was promised is gone from what is left: the other half is still kept for it."""
    machine = Machine(host=1000)
    admission = Admission(machine, shm_bytes=0, runtime=Runtime())
    with admission.admit(tenant(required_mib=400)):
        for taken in (0, 200, 400):
            machine.host = 1000 - taken
            assert fits(admission, 600), taken
            assert not fits(admission, 601), taken


def test_what_a_load_takes_beyond_its_promise_counts() -> None:
    machine = Machine(host=1000)
    admission = Admission(machine, shm_bytes=0, runtime=Runtime())
    with admission.admit(tenant(required_mib=400)):
        machine.host = 300
        assert fits(admission, 300)
        assert not fits(admission, 301)


def test_what_is_given_back_during_a_load_counts() -> None:
    machine = Machine(host=1000)
    admission = Admission(machine, shm_bytes=0, runtime=Runtime())
    with admission.admit(tenant(required_mib=400)):
        machine.host = 2000
        assert fits(admission, 1600)
        assert not fits(admission, 1601)


def test_what_a_load_has_taken_counts_when_another_one_is_under_way() -> None:
    machine = Machine(host=1000)
    admission = Admission(machine, shm_bytes=0, runtime=Runtime())
    first, second = admission.admit(tenant(required_mib=400)), admission.admit(tenant(required_mib=400))
    first.__enter__()
    with second:
        machine.host = 600
        first.__exit__(None, None, None)
        assert fits(admission, 200)
        assert not fits(admission, 201)
        machine.host = 200
        assert fits(admission, 200)
        assert not fits(admission, 201)
    assert fits(admission, 200)
    assert not fits(admission, 201)


def test_gpu_memory_of_loads_under_way_counts() -> None:
    machine = Machine(gpu=1000)
    admission = Admission(machine, shm_bytes=0, runtime=Runtime())
    large, small = tenant(size_mib=1), tenant(size_mib=2)
    admission.remember(large, Usage(host=0, gpu=600 * MIB))
    admission.remember(small, Usage(host=0, gpu=400 * MIB))
    with admission.admit(large):
        with pytest.raises(NoRoomError, match="GPU memory: 600 MiB are needed, 400 MiB are left"):
            admission.admit(large).__enter__()
        machine.gpu = 700
        with admission.admit(small):
            pass
    machine.gpu = 500
    with pytest.raises(NoRoomError, match="GPU memory: 600 MiB are needed, 500 MiB are left"):
        admission.admit(large).__enter__()
    machine.gpu = None
    with admission.admit(large):
        pass


def test_a_gpu_whose_driver_does_not_tell_its_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is no reason for a load to fail."""

    def refuse() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)

    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", refuse)
    monkeypatch.setattr(pynvml, "nvmlShutdown", refuse)
    assert Resources(tmp_path).free_gpu_memory() is None


def test_what_was_taken_between_two_readings() -> None:
    """0 is a reading that failed: then nothing is known of the difference."""
    assert Usage(700, -300).since(Usage(400, -900)) == Usage(300, 600)
    assert Usage(700, 0).since(Usage(0, -900)) == Usage(0, 0)
    assert Usage(400, -900).since(Usage(700, -300)) == Usage(0, 0)


def test_archives_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    admission = Admission(Machine(host=1000), shm_bytes=0, runtime=Runtime())
    for size in (1, 2, 1, 3):
        admission.remember(tenant(size_mib=size), Usage(host=2000 * MIB, gpu=0))
    with admission.admit(tenant(size_mib=2)):  # the one that was not seen for the longest time
        pass
    for size in (1, 3):
        with pytest.raises(NoRoomError):
            admission.admit(tenant(size_mib=size)).__enter__()


def test_a_record_that_can_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "repository", tmp_path / "records")
    loaded = LoadedTenant("a", "/a", "a", (("a",),), (), 1.0)
    store.record(loaded)
    [path] = (tmp_path / "records").iterdir()
    path.unlink()
    path.mkdir()  # nothing can be moved there
    with pytest.raises(OSError, match="directory"):
        store.record(loaded)
    assert list((tmp_path / "records").iterdir()) == [path]


def test_a_load_that_fails_gives_its_share_back(tmp_path: Path) -> None:
    admission = Admission(resources(tmp_path, V2), shm_bytes=MIB, runtime=Runtime())
    with pytest.raises(RuntimeError, match="failed"), admission.admit(tenant(required_mib=400)):
        raise RuntimeError("failed")
    with admission.admit(tenant(required_mib=400)):
        pass


def test_what_an_archive_took_counts_the_next_time(tmp_path: Path) -> None:
    admission = Admission(resources(tmp_path, V2), shm_bytes=MIB, runtime=Runtime())
    with admission.admit(tenant(size_mib=10)):
        pass
    admission.remember(tenant(size_mib=10), Usage(host=600 * MIB, gpu=0))
    with pytest.raises(NoRoomError, match="600 MiB are needed"), admission.admit(tenant(size_mib=10)):
        pass
    with admission.admit(tenant(size_mib=11)):  # another archive in its place
        pass
