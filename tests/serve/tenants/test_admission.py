"""Which loads are admitted: the arithmetic, on a machine whose memory the test sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from serve.machine.resources import Resources
from serve.repository import Runtime, Tenant
from serve.tenants.admission import Admission
from serve.tenants.errors import OutOfResourcesError
from serve.tenants.values import Usage

MIB = 1024**2


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


def test_a_load_is_checked_against_what_is_left() -> None:
    admission = Admission(Machine(host=500), shm_bytes=MIB, runtime=Runtime())
    with admission.admit(tenant(required_mib=500)):
        pass
    with (
        pytest.raises(OutOfResourcesError, match=r"host memory: 501 MiB are needed, 500 MiB are left"),
        admission.admit(tenant(required_mib=501)),
    ):
        pass


def test_loads_under_way_count() -> None:
    admission = Admission(Machine(host=500), shm_bytes=MIB, runtime=Runtime())
    with admission.admit(tenant(required_mib=300)):
        with pytest.raises(OutOfResourcesError, match="200 MiB are left"), admission.admit(tenant(required_mib=201)):
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
    except OutOfResourcesError:
        return False


def test_what_a_load_under_way_has_taken_counts_once() -> None:
    """Half of what was reserved for it is gone from what is left: the other half is still kept for it."""
    machine = Machine(host=1000)
    admission = Admission(machine, shm_bytes=0, runtime=Runtime())
    with admission.admit(tenant(required_mib=400)):
        for taken in (0, 200, 400):
            machine.host = 1000 - taken
            assert fits(admission, 600), taken
            assert not fits(admission, 601), taken


def test_what_a_load_takes_beyond_its_share_counts() -> None:
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
        with pytest.raises(OutOfResourcesError, match="GPU memory: 600 MiB are needed, 400 MiB are left"):
            admission.admit(large).__enter__()
        machine.gpu = 700
        with admission.admit(small):
            pass
    machine.gpu = 500
    with pytest.raises(OutOfResourcesError, match="GPU memory: 600 MiB are needed, 500 MiB are left"):
        admission.admit(large).__enter__()
    machine.gpu = None
    with admission.admit(large):
        pass


def test_archives_are_not_remembered_for_ever() -> None:
    admission = Admission(Machine(host=1000), shm_bytes=0, runtime=Runtime(), remembered=2)
    for size in (1, 2, 1, 3):
        admission.remember(tenant(size_mib=size), Usage(host=2000 * MIB, gpu=0))
    with admission.admit(tenant(size_mib=2)):  # the one that was not seen for the longest time
        pass
    for size in (1, 3):
        with pytest.raises(OutOfResourcesError):
            admission.admit(tenant(size_mib=size)).__enter__()


def test_a_load_that_fails_gives_its_share_back() -> None:
    admission = Admission(Machine(host=500), shm_bytes=MIB, runtime=Runtime())
    with pytest.raises(RuntimeError, match="failed"), admission.admit(tenant(required_mib=400)):
        raise RuntimeError("failed")
    with admission.admit(tenant(required_mib=400)):
        pass


def test_what_an_archive_took_counts_the_next_time() -> None:
    admission = Admission(Machine(host=500), shm_bytes=MIB, runtime=Runtime())
    with admission.admit(tenant(size_mib=10)):
        pass
    admission.remember(tenant(size_mib=10), Usage(host=600 * MIB, gpu=0))
    with pytest.raises(OutOfResourcesError, match="600 MiB are needed"), admission.admit(tenant(size_mib=10)):
        pass
    with admission.admit(tenant(size_mib=11)):  # another archive in its place
        pass
