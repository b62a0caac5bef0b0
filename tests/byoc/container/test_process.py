"""`serve` as a process: what keeps it from starting, and how its end reads."""

from __future__ import annotations

import re
import signal
import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest

from byoc.container.installation import program_path, triton_dir
from byoc.container.process import reserved_environment, running_serve, serve_environment, start_serve
from byoc.errors import ContainerError
from tests.serve.conftest import make_base_dir
from tests.triton import TRITON

FRONT_END = {"SAGEMAKER_TRITON_FRONTEND": "native"}


def test_its_environment_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_MULTI_MODEL", "true")
    with reserved_environment(tmp_path) as one, reserved_environment(tmp_path) as another:
        assert "SAGEMAKER_MULTI_MODEL" not in one
        assert one["SAGEMAKER_TRITON_INSTALL_DIR"] == str(TRITON)
        assert one["PATH"].startswith(str(Path(sys.executable).parent))
        assert one["SAGEMAKER_BIND_TO_PORT"] != another["SAGEMAKER_BIND_TO_PORT"]


def test_tritonserver_is_where_the_environment_says(tmp_path: Path) -> None:
    with pytest.raises(ContainerError, match=r"INSTALL_DIR='.*' has no bin/tritonserver\. Run `make setup`"):
        serve_environment(tmp_path, {"SAGEMAKER_TRITON_INSTALL_DIR": str(tmp_path)})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tritonserver").touch()
    assert triton_dir({"SAGEMAKER_TRITON_INSTALL_DIR": str(tmp_path)}) == tmp_path


def test_haproxy_can_be_hidden(tmp_path: Path) -> None:
    program = tmp_path / "haproxy"
    program.touch(0o755)
    assert str(tmp_path) in program_path(f"{tmp_path}:/nowhere").split(":")
    assert program_path(f"{tmp_path}:/nowhere", haproxy=False) == f"{Path(sys.executable).parent}:/nowhere"


def test_a_port_in_use(tmp_path: Path) -> None:
    with reserved_environment(tmp_path) as environment:
        port = int(environment["SAGEMAKER_BIND_TO_PORT"])
        with (
            closing(socket.create_server(("", port))),
            pytest.raises(ContainerError, match=f"port {port} is in use by another program. Set SAGEMAKER_BIND_TO_PO"),
        ):
            start_serve(environment)


def test_a_bad_value(tmp_path: Path) -> None:
    with pytest.raises(ContainerError, match="SAGEMAKER_TRITON_THREAD_COUNT='many': expected"):
        running_serve(tmp_path, {"SAGEMAKER_TRITON_THREAD_COUNT": "many"}).__enter__()


def test_one_that_ends_is_not_awaited(tmp_path: Path) -> None:
    with pytest.raises(ContainerError) as raised:
        running_serve(tmp_path).__enter__()
    assert re.match(r"serve on port \d+ ended with status 2; last output:\nserve: ", str(raised.value))
    assert f"{tmp_path / 'model'} can't be served: it does not exist" in str(raised.value)


def test_not_ready_in_time(tmp_path: Path) -> None:
    with pytest.raises(ContainerError, match=r"serve on port \d+ was not ready after 0 s"):
        running_serve(make_base_dir(tmp_path, "probe"), FRONT_END, ready_seconds=0).__enter__()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGKILL, 137)])
def test_its_exit_status(tmp_path: Path, number: signal.Signals, status: int) -> None:
    """Two run side by side; the end of one does not matter to the other."""
    base_dir = make_base_dir(tmp_path, "probe")
    with running_serve(base_dir) as serve, running_serve(base_dir, FRONT_END) as other:
        assert (serve.ping(), serve.exit_status()) == (200, None)
        serve.process.send_signal(number)
        assert serve.wait() == status
        assert (serve.ping(), serve.exit_status()) == (None, status)
        assert serve.stop() == status
        assert (other.ping(), other.exit_status()) == (200, None)


def test_one_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    with running_serve(make_base_dir(tmp_path, "probe")) as serve:
        serve.process.send_signal(signal.SIGSTOP)
        with pytest.raises(ContainerError, match=r"did not stop within 0\.5 s and was killed; last output:\nserve: "):
            serve.stop(0.5)
        assert serve.exit_status() == 137
