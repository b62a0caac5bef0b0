"""The drain's end, with the real plan and a drain of two seconds."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest

from serve.machine.inspect import inspect_machine
from serve.plan.endpoint import SingleModel
from serve.plan.make import make_plan
from serve.plan.values import Child, Drain, EndsEndpoint, NoDrain, Plan, Role, SigtermDrain
from serve.repository import inspect_repository
from serve.settings import Settings
from serve.supervisor.run import supervise
from tests.serve.client import send, text_request
from tests.serve.conftest import make_base_dir
from tests.serve.processes import await_true
from tests.serving import reserved_environment

NOT_DRAINED = NoDrain()


def real_plan(base_dir: Path, own: Mapping[str, str], *, haproxy: bool, frontend: str = "gateway") -> Plan:
    environment = {**own, "SAGEMAKER_TRITON_FRONTEND": frontend}
    settings = Settings.from_environment(environment)
    work_dir = base_dir / "work"
    work_dir.mkdir()
    machine = inspect_machine(work_dir, settings)
    machine = dataclasses.replace(
        machine, gpus=0, haproxy=machine.haproxy if haproxy else None, environment=environment
    )
    return make_plan(settings, SingleModel(inspect_repository(base_dir / "model")), machine, drain_seconds=2)


def program(role: Role, code: str, drain: Drain = NOT_DRAINED) -> Child:
    return child(role, sys.executable, "-c", code, drain=drain)


def child(role: Role, *arguments: str, drain: Drain = NOT_DRAINED) -> Child:
    return Child(role=role, arguments=arguments, when_it_ends=EndsEndpoint(), drain=drain)


def plan_of(*children: Child) -> Plan:
    return Plan(endpoint="nothing", children=children, port=1, drain_seconds=2)


def is_ready(port: int) -> bool:
    try:
        return send(port, "GET", "/ping", seconds=2).status == 200
    except (OSError, HTTPException):
        return False


@pytest.mark.parametrize(
    ("haproxy", "frontend"),
    [(True, "gateway"), (False, "gateway"), (False, "native")],
    ids=["haproxy", "app", "native"],
)
def test_a_request_that_outlasts_the_drain_is_cut_and_said_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, haproxy: bool, frontend: str
) -> None:
    base_dir = make_base_dir(tmp_path, "probe")
    with reserved_environment(base_dir) as environment:
        plan = real_plan(base_dir, environment, haproxy=haproxy, frontend=frontend)
        cut_a_request_off(plan, tmp_path / "working")
    assert "requests still in flight after 2 s were cut off" in caplog.text


def cut_a_request_off(plan: Plan, working: Path) -> None:
    """Supervise, and send SIGTERM once a model works on a request that takes longer than the drain."""

    def ask() -> str:
        await_true(lambda: is_ready(plan.port), "ready", 60)
        try:
            return str(send(plan.port, body=text_request(working=str(working), seconds=15)).status)
        except (OSError, HTTPException) as error:
            return type(error).__name__

    def stop() -> None:
        await_true(working.exists, "the model works on the request", 90)
        os.kill(os.getpid(), signal.SIGTERM)

    with ThreadPoolExecutor(2) as pool:
        answer, stopped = pool.submit(ask), pool.submit(stop)
        assert supervise(plan) == 1
        stopped.result()
    assert answer.result() != "200"


def test_a_program_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    assert supervise(plan_of(child("tritonserver", "/opt/tritonserver/bin/nothing"))) == 1
    assert "can't start tritonserver: /opt/tritonserver/bin/nothing: No such file or directory" in caplog.text


@pytest.mark.parametrize(("code", "status"), [("exit(7)", 7), ("exit(0)", 1), ("import os; os.abort()", 134)])
def test_the_status_of_tritonserver_is_ours(caplog: pytest.LogCaptureFixture, code: str, status: int) -> None:
    """An unexpected exit with status 0 is a failure, too."""
    assert supervise(plan_of(program("tritonserver", f"print('last words', flush=True); {code}"))) == status
    assert "last words" in caplog.text


def test_output_is_forwarded_with_the_name_of_its_program(capfd: pytest.CaptureFixture[str]) -> None:
    lines = (
        "print('out'); import sys; print('\\u00e9rr', file=sys.stderr); sys.stdout.buffer.write(b'\\xff\\n'); exit(3)"
    )
    assert supervise(plan_of(program("tritonserver", lines))) == 3
    printed = capfd.readouterr().out.splitlines()
    assert sorted(printed) == ["tritonserver: out", "tritonserver: érr", "tritonserver: \ufffd"]


def test_a_line_without_end_is_left_out_and_the_rest_forwarded(capfd: pytest.CaptureFixture[str]) -> None:
    assert supervise(plan_of(program("tritonserver", "print('x' * 3_000_000); print('after'); exit(3)"))) == 3
    assert capfd.readouterr().out.splitlines()[-1] == "tritonserver: after"


def test_a_child_that_ignores_sigterm_is_killed(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """The app is stopped first, then tritonserver; neither can block the shutdown forever."""
    deaf = "import signal, pathlib, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {}; time.sleep(60)"
    listening = tmp_path / "listening"
    app = program("app", deaf.format(f"pathlib.Path({str(listening)!r}).touch()"), SigtermDrain())

    def stop() -> None:
        await_true(listening.exists, "the app is deaf")
        os.kill(os.getpid(), signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(stop)
        assert supervise(plan_of(program("tritonserver", "import time; time.sleep(60)"), app)) == 1
        stopping.result()
    assert "were cut off" in caplog.text


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """HAProxy is restarted five times, and its error is in the log."""
    with reserved_environment(make_base_dir(tmp_path, "probe")) as environment:
        port = environment["SAGEMAKER_BIND_TO_PORT"]
        command = [sys.executable, "-m", "http.server", port]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as holder:
            try:
                await_true(lambda: answers(int(port)), "the port is taken")
                run = subprocess.run(
                    [sys.executable, "-m", "serve"],
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
            finally:
                holder.terminate()
    assert run.returncode == 2
    assert run.stdout == (
        f"serve: SAGEMAKER_BIND_TO_PORT='{port}': expected a free port, another program listens on this one\n"
    )


def answers(port: int) -> bool:
    try:
        return send(port, "GET", "/").status == 200
    except OSError:
        return False
