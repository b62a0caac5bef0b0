"""Tenants with ONNX models, on an image that runs them in processes of Python."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.models.onnx_models import add, affine
from tests.serve.multi_model.conftest import running_endpoint
from tests.serve.multi_model.endpoint import Endpoint, await_true

MIB = 1024**2
FOUR = 'backend: "onnxruntime"\nmax_batch_size: 0\ninstance_group [{ count: 4 kind: KIND_CPU }]'


def archive(endpoint: Endpoint, name: str) -> Path:
    return add(endpoint.models_dir / name / "model", "net", affine([1]), FOUR)


def test_each_instance_takes_its_shared_memory(tmp_path: Path) -> None:
    """Half of what is left for each: two fit, four do not, and nothing of them is started."""
    free = shutil.disk_usage("/dev/shm").free
    with running_endpoint(tmp_path, {"SAGEMAKER_TRITON_SHM_DEFAULT_BYTE_SIZE": str(free // 2)}) as endpoint:
        answer = endpoint.load("four", archive(endpoint, "four"))
        assert answer.status == 507, answer
        assert "not enough shared memory (/dev/shm): " in answer.error()
        assert f"{4 * (free // 2) / MIB:.0f} MiB are needed" in answer.error()
        assert endpoint.left() == {}


def test_a_tenant_that_has_lost_one_of_its_processes_is_unloaded(gateway: Endpoint) -> None:
    assert gateway.load("four", archive(gateway, "four")).status == 200
    stubs = [process for name, process in gateway.stubs().items() if name.startswith("four")]  # not the shared models'
    assert len(stubs) == 4
    stubs[0].kill()
    await_true(lambda: gateway.left() == {}, "the tenant is unloaded, and nothing of it is left")
    assert gateway.get("four").status == 404
