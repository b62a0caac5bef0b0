"""The image as SageMaker runs it: start, routes, users, mounts, stop."""

from __future__ import annotations

import base64
import json
import re
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests
from docker import DockerClient
from docker.models.containers import Container
from tritonclient.http import InferenceServerClient, InferInput

from byoc.container.docker import MODEL_DIR, DockerContainer, DockerOptions, running_container
from byoc.image import builder
from byoc.image.built_image import SIZE_LIMIT, BuiltImage
from tests.docker.conftest import SAMPLE
from tests.docker.container import RAW, Ended, invoke, output_in, run_in, run_to_end
from tests.serve.processes import await_true
from tests.triton import ROOT

# The first test that runs has the image built.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

CAT = "Egyptian cat"  # the first label of the photograph

SLOW_MODEL = """
import time
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        time.sleep(2)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("done", np.array([1], np.int32))]) for _ in requests]
"""
SLOW_CONFIG = """
backend: "python"
input [{ name: "go" data_type: TYPE_INT32 dims: [ 1 ] }]
output [{ name: "done" data_type: TYPE_INT32 dims: [ 1 ] }]
instance_group [{ count: 2 }]
"""
HELLO_WORLD = json.dumps(
    {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": ["Hello world"]}]}
).encode()
GO = json.dumps({"inputs": [{"name": "go", "datatype": "INT32", "shape": [1], "data": [1]}]}).encode()


def first_label(answer: requests.Response) -> str:
    """The first label of a response in KServe JSON or in binary+json."""
    assert answer.status_code == 200, answer.text
    length = int(answer.headers.get("Content-Type", "").partition("json-header-size=")[2] or 0)
    if not length:
        [labels] = [output["data"] for output in answer.json()["outputs"] if output["name"] == "labels"]
        return str(labels[0])
    result = InferenceServerClient.parse_response_body(answer.content, header_length=length)
    labels = result.as_numpy("labels")
    assert labels is not None
    return str(labels[0, 0].decode())


def test_kserve_json(classifier: DockerContainer, photograph: bytes) -> None:
    data = [base64.b64encode(photograph).decode()]
    body = json.dumps({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1, 1], "data": data}]})
    assert first_label(invoke(classifier, body.encode(), "application/json")) == CAT


def test_kserve_binary_json(classifier: DockerContainer, photograph: bytes) -> None:
    tensor = InferInput("image", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[photograph]], np.object_))
    body, length = InferenceServerClient.generate_request_body([tensor])
    content_type = f"application/vnd.sagemaker-triton.binary+json;json-header-size={length}"
    assert first_label(invoke(classifier, body, content_type)) == CAT


def test_kserve_raw(classifier: DockerContainer, photograph: bytes) -> None:
    assert first_label(invoke(classifier, photograph, RAW)) == CAT


def test_serve_is_process_1(classifier: DockerContainer) -> None:
    assert "/serve" in output_in(classifier, "cat", "/proc/1/cmdline")


def test_orphans_are_reaped(classifier: DockerContainer) -> None:
    """1. A program ends and leaves a process of its own behind. 2. That is now a child of `serve`. 3. It ends: it does
    not stay as a zombie.
    """
    orphan = output_in(classifier, "sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!").strip()
    assert re.search(r"\) S 1 ", output_in(classifier, "cat", f"/proc/{orphan}/stat"))
    output_in(classifier, "sh", "-c", f"kill {orphan}")
    await_true(
        lambda: output_in(classifier, "sh", "-c", f"cat /proc/{orphan}/stat 2>/dev/null || true") == "", "it was reaped"
    )


def test_log_is_quiet_about_pings(classifier: DockerContainer) -> None:
    before = classifier.output()
    for _ in range(5):
        assert classifier.ping() == 200
    assert classifier.output() == before


def test_health_check(classifier: DockerContainer) -> None:
    assert output_in(classifier, "/opt/serve/bin/python", "-I", "/opt/serve/bin/healthcheck.py").startswith("200")
    ended = run_in(
        classifier, "env", "SAGEMAKER_BIND_TO_PORT=9", "/opt/serve/bin/python", "-I", "/opt/serve/bin/healthcheck.py"
    )
    assert (ended.status, ended.output.startswith("0 port 9: ")) == (1, True)


def test_models_run_with_the_python_of_the_base_image(classifier: DockerContainer) -> None:
    """Models run with the base's Python and `serve` with its own; each has a different NumPy."""
    of_models = output_in(classifier, "python3", "-c", "import numpy, sys; print(sys.prefix, numpy.__file__)")
    of_serve = output_in(
        classifier, "/opt/serve/bin/python", "-I", "-c", "import numpy, sys; print(sys.prefix, numpy.__file__)"
    )
    assert of_models.startswith("/usr ")
    assert of_serve.startswith("/opt/serve ")
    assert of_models.split()[1] != of_serve.split()[1]


def test_image_without_a_command_serves(client: DockerClient, built: BuiltImage) -> None:
    with running_container(client, built.tag, DockerOptions(SAMPLE, command=())) as served:
        assert served.ping() == 200


def test_any_command_runs_with_its_exit_status(client: DockerClient, built: BuiltImage) -> None:
    assert run_to_end(client, built.tag, "echo", "two  words") == Ended(0, "two  words\n")
    assert run_to_end(client, built.tag, "bash", "-c", "exit 7") == Ended(7, "")
    assert "--model-repository" in run_to_end(client, built.tag, "tritonserver", "--help").output


def test_no_model_is_told(client: DockerClient, built: BuiltImage) -> None:
    ended = run_to_end(client, built.tag, "serve")
    assert ended.status == 2
    assert "/opt/ml/model" in ended.output


def test_ordinary_user_read_only_on_another_port(client: DockerClient, built: BuiltImage, photograph: bytes) -> None:
    """All at once: no root, no capability, no writable file system but /tmp, 64 MB of /dev/shm, port 8101."""
    environment = {**SAMPLE, "SAGEMAKER_BIND_TO_PORT": "8101", "SAGEMAKER_SAFE_PORT_RANGE": "21000-21999"}
    options = DockerOptions(environment, user="1000:1000", confined=True)
    with running_container(client, built.tag, options) as served:
        assert first_label(invoke(served, photograph)) == CAT
        assert "1000" in output_in(served, "id", "-u")


FOREIGN_PACKAGES = """
FROM {base}
COPY foreign /foreign
ENV PYTHONPATH=/foreign
"""


def test_base_image_with_a_pythonpath(client: DockerClient, cpu_base: str, photograph: bytes, tmp_path: Path) -> None:
    """Triton's image has one, for packages of its DALI backend: `serve` is built with its own, and uses them."""
    lock = (ROOT / "requirements" / "serve.lock").read_text()
    for package in ("aiohttp", "jinja2"):
        [version] = set(re.findall(rf"^{package}==(\S+)", lock, re.MULTILINE))
        information = tmp_path / "foreign" / f"{package}-{version}.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        (tmp_path / "foreign" / f"{package}.py").write_text("raise ImportError('not for serve')\n")
    (tmp_path / "Dockerfile").write_text(FOREIGN_PACKAGES.format(base=cpu_base))
    client.images.build(path=str(tmp_path), tag="triton-byoc:test-foreign-base", rm=True)
    foreign = builder.build(ROOT, "triton-byoc:test-foreign-base", "triton-byoc:test-foreign")
    with running_container(client, foreign.tag, DockerOptions(SAMPLE)) as served:
        assert output_in(served, "printenv", "PYTHONPATH") == "/foreign\n"
        assert first_label(invoke(served, photograph)) == CAT


def test_base_image_without_the_packages_of_models(client: DockerClient, cpu_base: str, tmp_path: Path) -> None:
    """Missing packages are installed for the base's python3; existing ones are not replaced."""
    packages = "/usr/local/lib/python3*/dist-packages"
    (tmp_path / "Dockerfile").write_text(f"FROM {cpu_base}\nRUN rm -r {packages}/tokenizers*\n")
    client.images.build(path=str(tmp_path), tag="triton-byoc:test-bare-base", rm=True)
    bare = builder.build(ROOT, "triton-byoc:test-bare-base", "triton-byoc:test-bare")
    assert bare.added_size - bare.models_size < SIZE_LIMIT
    numpy = "import numpy; print(numpy.__version__, numpy.__file__)"
    assert run_to_end(client, bare.tag, "python3", "-c", numpy) == run_to_end(client, cpu_base, "python3", "-c", numpy)
    options = DockerOptions({**SAMPLE, "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "text_tokenize"})
    with running_container(client, bare.tag, options) as served:
        answer = invoke(served, HELLO_WORLD, "application/json")
        [ids] = [output["data"] for output in answer.json()["outputs"] if output["name"] == "input_ids"]
        assert ids == [101, 7592, 2088, 102]


def test_archive_from_outside(client: DockerClient, built: BuiltImage, archive: Path, tmp_path: Path) -> None:
    directory = tmp_path / "model"
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
    assert "KIND_GPU" in (directory / "efficientnet_lite0" / "config.pbtxt").read_text()
    with running_container(client, built.tag, DockerOptions(mounts={MODEL_DIR: directory})) as served:
        answer = invoke(served, np.zeros((1, 3, 224, 224), np.float32).tobytes())
        result = InferenceServerClient.parse_response_body(
            answer.content, header_length=int(answer.headers["Content-Type"].partition("size=")[2])
        )
        logits = result.as_numpy("logits")
        assert logits is not None
        assert logits.shape == (1, 1000)
        assert np.isfinite(logits).all()


def test_stop_loses_no_request(client: DockerClient, built: BuiltImage, tmp_path: Path) -> None:
    """1. Six requests, of 2 s each, for a model with two instances. 2. All are accepted, and some not answered:
    `docker stop`. 3. Every request is answered, and the container ends with status 0: it was not killed after 30 s.
    """
    options = DockerOptions(mounts={MODEL_DIR: slow_model(tmp_path / "model")})
    with running_container(client, built.tag, options) as served, ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(invoke, served, GO, "application/json") for _ in range(6)]
        await_true(lambda: accepted(served) == 6, "six requests were accepted")
        unanswered = sum(not answer.done() for answer in answers)
        status = served.stop(30)
        statuses = [answer.result().status_code for answer in answers]
        assert unanswered > 0
        assert statuses == [200] * 6, served.output()
        assert status == 0, served.output()


def accepted(served: DockerContainer) -> int:
    """How many requests HAProxy has passed on to tritonserver, answered or not."""
    metrics = requests.get(f"{served.url}/metrics", timeout=10).text
    [count] = re.findall(r'^haproxy_backend_sessions_total\{proxy="tritonserver"\} (\d+)', metrics, re.MULTILINE)
    return int(count)


def test_becomes_healthy(classifier: DockerContainer) -> None:
    """The HEALTHCHECK of the image, as the engine runs it."""
    deadline = time.monotonic() + 60
    while (health := health_of(classifier.container)) == "starting" and time.monotonic() < deadline:
        time.sleep(0.5)
    assert health == "healthy"


def health_of(container: Container) -> str:
    container.reload()
    return str(container.attrs["State"]["Health"]["Status"])


def slow_model(directory: Path) -> Path:
    version = directory / "slow" / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(SLOW_MODEL)
    (version.parent / "config.pbtxt").write_text(SLOW_CONFIG)
    return directory
