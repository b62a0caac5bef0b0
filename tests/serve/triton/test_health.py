"""`/ping`: whether an invocation would be answered right now."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest

from byoc.container.processes import child, model_processes
from tests.serve.client import send, text_request
from tests.serve.conftest import BaseDir
from tests.serve.processes import await_true, kill
from tests.serving import RunningServe, running_serve

SAGEMAKER_WAITS_SECONDS = 2.0


def test_ready(classifier: RunningServe) -> None:
    for method in ("GET", "POST"):
        answer = send(classifier.port, method, "/ping")
        assert (answer.status, answer.content_type.partition(";")[0]) == (200, "application/json")


def not_ready(serve: RunningServe) -> str:
    """Return why. Before the app has begun to listen, HAProxy tells that."""
    answer = send(serve.port, "GET", "/ping")
    assert answer.status == 503
    return answer.error()


def test_native(classifier_native: RunningServe) -> None:
    assert send(classifier_native.port, "GET", "/ping").status == 200


@pytest.mark.parametrize("haproxy", [True, False], ids=["gateway", "app"])
def test_not_ready_with_a_reason_until_the_model_is_loaded(base_dir: BaseDir, haproxy: bool) -> None:
    directory = base_dir("late")
    with running_serve(directory, haproxy=haproxy, await_ready=False) as serve:
        await_true(
            lambda: serve.ping() is not None and model_processes(serve), "the model is being loaded and /ping answered"
        )
        await_true(lambda: "still loads its models (late)" in not_ready(serve), "the app tells why")
        assert send(serve.port, body=text_request()).status == 503
        (directory / "model" / "late" / "go").touch()
        serve.await_ready()


def test_answered_in_time_while_every_instance_is_busy(probe: RunningServe) -> None:
    """Two instances; twelve requests of half a second each keep them busy for three seconds."""
    with ThreadPoolExecutor(12) as pool:
        requests = [pool.submit(send, probe.port, body=text_request(seconds=0.5)) for _ in range(12)]
        pings = []
        while not all(request.done() for request in requests):
            started = time.monotonic()
            assert send(probe.port, "GET", "/ping").status == 200
            pings.append(time.monotonic() - started)
        assert {request.result().status for request in requests} == {200}
    assert len(pings) >= 5
    assert max(pings) < SAGEMAKER_WAITS_SECONDS


@pytest.mark.parametrize("haproxy", [True, False], ids=["gateway", "app"])
def test_a_dead_process_of_a_python_model(base_dir: BaseDir, haproxy: bool) -> None:
    """Triton still reports the model as ready. The finding must survive a restart of the app."""
    with running_serve(base_dir("probe"), haproxy=haproxy) as serve:
        kill(model_processes(serve)[0])
        await_true(lambda: serve.ping() == 503, "/ping notices")
        died = "probe_0: a process of this model instance group has died"
        assert died in not_ready(serve)
        app = child(serve, "app")
        kill(app)
        app.wait(10)
        # HAProxy's own 503, before the app is back, does not say so.
        await_true(lambda: died in (reason_of(serve) or ""), "the restarted app knows")


def reason_of(serve: RunningServe) -> str | None:
    """Return the reason in `/ping`, which must never be 200, or None if nothing listens."""
    try:
        return not_ready(serve)
    except (OSError, HTTPException):
        return None


def test_a_tritonserver_that_hangs(base_dir: BaseDir) -> None:
    """tritonserver may miss a check while it is busy; after ten seconds of silence it counts as dead."""
    with running_serve(base_dir("probe")) as serve:
        tritonserver = child(serve, "tritonserver")
        tritonserver.suspend()
        try:
            assert send(serve.port, "GET", "/ping", seconds=SAGEMAKER_WAITS_SECONDS).status == 200
            await_true(lambda: serve.ping(SAGEMAKER_WAITS_SECONDS) != 200, "/ping notices", 30)
            answer = send(serve.port, "GET", "/ping", seconds=SAGEMAKER_WAITS_SECONDS)
            assert (answer.status, "tritonserver does not answer" in answer.error()) == (503, True)
        finally:
            tritonserver.resume()
        serve.await_ready()


def test_live_mode_asks_for_no_model(base_dir: BaseDir) -> None:
    with running_serve(base_dir("probe"), {"SAGEMAKER_TRITON_OVERRIDE_PING_MODE": "live"}) as serve:
        kill(model_processes(serve)[0])
        assert {serve.ping() for _ in range(10)} == {200}


def test_execution_parameters(classifier: RunningServe) -> None:
    answer = send(classifier.port, "GET", "/execution-parameters")
    assert answer.status == 200
    assert answer.json() == {"MaxConcurrentTransforms": 8, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 6}
