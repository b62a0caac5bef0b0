"""Errors that stop `serve` at its start, and the short log of a healthy start."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from byoc.container.processes import model_processes
from serve.machine.inspect import processors
from tests.serve.client import kserve, send
from tests.serve.conftest import BaseDir, make_base_dir
from tests.serve.processes import await_true, kill
from tests.serving import RunningServe, reserved_environment, running_serve

SECONDS = 60


def run(base_dir: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `serve` until it ends by itself."""
    with reserved_environment(base_dir) as own:
        return subprocess.run(
            [sys.executable, "-m", "serve", *arguments],
            env={**own, **environment},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def refusal(base_dir: Path, **environment: str) -> str:
    """Return the output of a start that fails."""
    ended = run(base_dir, **environment)
    assert (ended.returncode, ended.stderr) == (2, "")
    assert "Traceback" not in ended.stdout
    return ended.stdout


def test_a_bad_value_is_one_line(base_dir: BaseDir) -> None:
    assert refusal(base_dir("probe"), SAGEMAKER_TRITON_THREAD_COUNT="many") == (
        "serve: SAGEMAKER_TRITON_THREAD_COUNT='many': expected a whole number, 1 or more\n"
    )


def test_no_model_directory(tmp_path: Path) -> None:
    assert f"the model directory {tmp_path / 'model'} can't be served: it does not exist" in refusal(tmp_path)


def test_no_model(tmp_path: Path) -> None:
    (tmp_path / "model" / "__MACOSX").mkdir(parents=True)
    message = refusal(tmp_path)
    assert "it holds no model" in message
    assert "Found:\nmodel/\n└── __MACOSX/\nExpected:\nmodel/\n└── my_model/" in message


def test_several_models_without_a_default(base_dir: BaseDir) -> None:
    message = refusal(base_dir("probe", "tokens"))
    assert "it holds 2 models (probe, tokens): set SAGEMAKER_TRITON_DEFAULT_MODEL_NAME" in message
    assert "├── probe/" in message


def test_a_default_that_is_not_there(base_dir: BaseDir) -> None:
    assert "'prob' is not in it: expected one of probe" in refusal(
        base_dir("probe"), SAGEMAKER_TRITON_DEFAULT_MODEL_NAME="prob"
    )


def test_a_model_at_the_root(tmp_path: Path) -> None:
    directory = make_base_dir(tmp_path, "probe")
    (directory / "model" / "config.pbtxt").touch()
    assert "config.pbtxt at its root" in refusal(directory)


def test_a_model_to_load_that_is_not_there(base_dir: BaseDir) -> None:
    message = refusal(base_dir("probe"), SAGEMAKER_TRITON_LOAD_MODELS="probe,encoder")
    assert "SAGEMAKER_TRITON_LOAD_MODELS names 'encoder', which is not in it: expected some of probe\n" in message


def test_a_configuration_that_cannot_be_read(base_dir: BaseDir) -> None:
    directory = base_dir("probe")
    (directory / "model" / "probe" / "config.pbtxt").write_text("max_batch_size: many")
    message = refusal(directory)
    assert "probe/config.pbtxt:1: this is not a valid model configuration: " in message


def test_tritonserver_that_is_not_there(base_dir: BaseDir) -> None:
    assert refusal(base_dir("probe"), SAGEMAKER_TRITON_INSTALL_DIR="/nowhere") == (
        "serve: SAGEMAKER_TRITON_INSTALL_DIR='/nowhere': expected a directory that holds bin/tritonserver\n"
    )


def test_processes_that_do_not_fit_into_the_shared_memory(base_dir: BaseDir) -> None:
    """`probe` has two processes, and each is to take all free shared memory."""
    free = shutil.disk_usage("/dev/shm").free
    message = refusal(base_dir("probe"), SAGEMAKER_TRITON_SHM_DEFAULT_BYTE_SIZE=str(free))
    assert message.startswith(f"serve: SAGEMAKER_TRITON_SHM_DEFAULT_BYTE_SIZE='{free}': 2 processes of models need ")
    assert "fewer processes (probe: 2)" in message


def test_python_without_code(base_dir: BaseDir) -> None:
    directory = base_dir("probe")
    (directory / "model" / "probe" / "1" / "model.py").rename(directory / "model" / "probe" / "1" / "main.py")
    assert refusal(directory).startswith(
        f"serve: the model directory {directory / 'model'} can't be served: probe/config.pbtxt: "
        "probe is a Python model without 1/model.py: add the file\nFound:\nmodel/\n└── probe/\n"
    )


def test_an_argument_that_tritonserver_does_not_know(base_dir: BaseDir) -> None:
    ended = run(base_dir("probe"), SAGEMAKER_TRITON_ADDITIONAL_ARGS="--no-such-option=1")
    assert ended.returncode == 1
    assert "no-such-option" in ended.stdout
    assert "serve: tritonserver exited with status 1; last output:" in ended.stdout


@pytest.mark.parametrize("frontend", ["gateway", "native"])
def test_a_model_that_cannot_be_loaded_ends_serve_with_the_reason(base_dir: BaseDir, frontend: str) -> None:
    ended = run(base_dir("broken"), SAGEMAKER_TRITON_FRONTEND=frontend)
    assert ended.returncode == 1
    last_words = ended.stdout.rpartition("last output:")[2]
    assert "RuntimeError: the dictionary of broken is missing" in last_words
    assert ended.stdout.splitlines()[-1] == "serve: exited with status 1"


def test_another_model_that_cannot_be_loaded_does_not_matter(base_dir: BaseDir) -> None:
    directory = base_dir("probe", "broken")
    (directory / "model" / "broken" / "config.pbtxt").write_text("max_batch_size: many")
    with running_serve(directory, {"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "probe"}) as serve:
        assert serve.ping() == 200
        assert "broken/config.pbtxt:1: this is not a valid model configuration: " in serve.output()


def test_more_models_to_load_for_a_model_that_calls_them(base_dir: BaseDir) -> None:
    """`caller` is the default, and runs `probe` by itself (business logic scripting)."""
    directory = base_dir("caller", "probe")
    default = {"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "caller"}
    request = kserve("text", "hello")
    with running_serve(directory, default) as serve:
        answer = send(serve.port, body=request)
        assert (answer.status, "probe" in answer.error()) == (500, True)
    with running_serve(directory, {**default, "SAGEMAKER_TRITON_LOAD_MODELS": "probe"}) as serve:
        assert send(serve.port, body=request).json()["outputs"][0]["data"] == ["hello"]


def test_a_model_that_says_what_it_calls(base_dir: BaseDir) -> None:
    """Models in `sagemaker.depends_on` are loaded, and `/ping` checks them."""
    directory = base_dir("caller", "probe")
    with (directory / "model" / "caller" / "config.pbtxt").open("a") as configuration:
        configuration.write('parameters [{ key: "sagemaker.depends_on" value: { string_value: "probe" } }]')
    with running_serve(directory, {"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "caller"}) as serve:
        assert send(serve.port, body=kserve("text", "hello")).json()["outputs"][0]["data"] == ["hello"]
        kill(next(stub for stub in model_processes(serve) if "probe_0_0" in stub.cmdline()))
        await_true(lambda: serve.ping() == 503, "/ping notices that a process of the called model has died")


def test_the_processes_of_python_models_share_the_processors(base_dir: BaseDir) -> None:
    with running_serve(base_dir("probe")) as serve:
        shares = {stub.environ()["OMP_NUM_THREADS"] for stub in model_processes(serve)}
    assert shares == {str(max(1, processors() // 2))}


def test_print_plan_starts_nothing(base_dir: BaseDir) -> None:
    shown = run(base_dir("probe"), "--print-plan", SAGEMAKER_TRITON_ADDITIONAL_ARGS="--min-supported='a b'")
    assert shown.returncode == 0
    described = ("serves: probe", "loads: probe (python, 2 processes)", "start tritonserver:")
    for line in (*described, "    --load-model=probe", "    --min-supported=a b"):
        assert line in shown.stdout.splitlines()
    assert "start app:" in shown.stdout
    assert "start haproxy:" in shown.stdout
    assert "frontend sagemaker" in shown.stdout


def test_print_plan_keeps_secrets_of_the_environment(base_dir: BaseDir) -> None:
    shown = run(base_dir("probe"), "--print-plan", AWS_SECRET_ACCESS_KEY="do-not-show")
    assert (shown.returncode, "do-not-show" in shown.stdout) == (0, False)


def test_a_healthy_start_and_stop_says_six_lines(base_dir: BaseDir) -> None:
    with running_serve(base_dir("probe")) as serve:
        assert send(serve.port, body=kserve("text", "hello")).status == 200
        await_true(lambda: "is ready after" in serve.output(), "the app has said so")
        assert serve.stop() == 0
        lines = serve.output().splitlines()
    assert lines[0] == f"serve: serving probe on port {serve.port}"
    assert lines[1] == "serve: loading probe (python, 2 processes)"
    assert re.fullmatch(r"app: probe is ready after \d+\.\d s", lines[2])
    assert lines[3:] == [
        "serve: SIGTERM: finishing requests in flight (up to 25 s)",
        "tritonserver: Signal (15) received.",
        "serve: exited with status 0",
    ]


def test_a_gpu_that_is_not_there_is_said_once(classifier_gateway: RunningServe) -> None:
    said = [line for line in classifier_gateway.output().splitlines() if "GPU" in line]
    assert said == ["serve: no GPU here: KIND_GPU of efficientnet_lite0 runs on the CPU"]
