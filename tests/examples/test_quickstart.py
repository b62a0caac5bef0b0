"""The quick start of `make run`, run as it is, on a free port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest

from byoc.container.ports import is_free, reserved_ports
from tests.serve.processes import await_true
from tests.triton import ROOT

SCRIPT = ROOT / "examples" / "quickstart.py"
ANSWERED = "in [0-9]+ ms"


@pytest.fixture
def ports() -> Iterator[range]:
    """The ports of `serve`; the first is SageMaker's."""
    with reserved_ports() as ports:
        yield ports


def environment(ports: range) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SAGEMAKER_")}
    inner = f"{ports[1]}-{ports[-1]}"
    return {**inherited, "SAGEMAKER_BIND_TO_PORT": str(ports[0]), "SAGEMAKER_SAFE_PORT_RANGE": inner}


def quick_start(ports: range, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(
        command, env={**environment(ports), **variables}, capture_output=True, text=True, timeout=240, check=False
    )


@contextmanager
def running(log: Path, ports: range) -> Iterator[subprocess.Popen[bytes]]:
    """Run it in its own session until the end of the block; no process may be left."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            env=environment(ports),
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=heed_ctrl_c,
        )
    try:
        yield process
        await_true(lambda: session(process.pid) == [], "every process of the quick start has ended")
    finally:
        for left in session(process.pid):
            left.kill()
        process.wait()


def heed_ctrl_c() -> None:
    """As in a terminal. What a script has started in the background ignores Ctrl-C, and hands that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def session(leader: int) -> list[psutil.Process]:
    """Return the processes of a session that have not ended."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getsid(process.pid) == leader and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        except ProcessLookupError:
            continue  # it ended meanwhile
    return found


def await_output(log: Path, pattern: str, process: subprocess.Popen[bytes]) -> None:
    def printed() -> bool:
        output = log.read_text(errors="replace")
        assert process.poll() is None, output
        return re.search(pattern, output) is not None

    await_true(printed, f"it has printed {pattern!r}", 120)


def test_once_prints_labels_wire_format_and_duration(ports: range) -> None:
    done = quick_start(ports, "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    answer = done.stdout.partition("\nchelsea.jpg:\n")[2].splitlines()
    assert re.fullmatch(r" +[0-9.]+%  Egyptian cat", answer[0]), done.stdout
    assert all(re.fullmatch(r" +[0-9.]+%  [\w ,]+", line) for line in answer[:5]), answer
    wire_format = r"application/vnd\.sagemaker-triton\.binary\+json;json-header-size=[0-9]+"
    assert re.fullmatch(rf"as {wire_format}, [0-9,]+ bytes, {ANSWERED}", answer[5])


class Healthy(BaseHTTPRequestHandler):
    """Another program's server, which responds."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


def test_another_server_on_the_port_is_not_taken_for_ours(ports: range) -> None:
    with ThreadingHTTPServer(("", ports[0]), Healthy) as other:
        thread = Thread(target=other.serve_forever)
        thread.start()
        try:
            done = quick_start(ports, "--once")
        finally:
            other.shutdown()
            thread.join()
    assert done.returncode == 1
    assert f"port {ports[0]} is in use by another program. Set SAGEMAKER_BIND_TO_PORT to" in done.stderr
    assert "Ready" not in done.stdout


def test_a_bad_value_is_told(ports: range) -> None:
    done = quick_start(ports, "--once", SAGEMAKER_BIND_TO_PORT="eighty")
    assert done.returncode == 1
    assert "SAGEMAKER_BIND_TO_PORT='eighty'" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_answer_that_is_an_error_is_none(ports: range, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    done = quick_start(ports, "--once", "--photograph", str(broken))
    assert done.returncode == 1
    assert re.search(r"/invocations returned 400: \{.*\}", done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_before_the_answer_is_a_failure(ports: range, tmp_path: Path) -> None:
    """1. `serve` was started. 2. Ctrl-C, as a terminal sends it to all. 3. Status 130, and nothing is left."""
    log = tmp_path / "log"
    with running(log, ports) as process:
        await_output(log, "serve: serving ", process)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130, log.read_text()
    assert not re.search(ANSWERED, log.read_text())


def test_ctrl_c_after_the_answer_is_the_end(ports: range, tmp_path: Path) -> None:
    """1. It has answered and names the line to try next. 2. Ctrl-C. 3. Status 0, and nothing is left."""
    log = tmp_path / "log"
    with running(log, ports) as process:
        await_output(log, "Ctrl-C stops it", process)
        await_output(log, r"\n\n *curl [^\n]*(\\\n[^\n]*|\|\n[^\n]*)+\n\n", process)
        suggested = log.read_text().partition("Try next:\n")[2].strip().partition("\n\n")[0]
        tried = subprocess.run(["bash", "-euc", suggested], capture_output=True, text=True, timeout=60, check=False)
        assert (tried.returncode, tried.stderr) == (0, "")
        assert "Egyptian cat\n" in tried.stdout
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
    assert is_free(ports[0])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, 137), (signal.SIGTERM, 0)])
def test_the_end_of_serve_is_the_end(ports: range, tmp_path: Path, number: signal.Signals, status: int) -> None:
    """The exit status is that of `serve`."""
    log = tmp_path / "log"
    with running(log, ports) as process:
        await_output(log, "Ctrl-C stops it", process)
        [serve] = psutil.Process(process.pid).children()
        serve.send_signal(number)
        assert process.wait(60) == status, log.read_text()
    assert ("serve ended with status 137" in log.read_text()) == (number == signal.SIGKILL)
