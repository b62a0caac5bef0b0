"""The stand-in for the pytorch backend. `make torch` brings PyTorch, which the development environment lacks."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests.models.client import connected, infer, infer_together, load_errors
from tests.triton import TRITON, RunningTritonServer, running_tritonserver

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: make torch"
)

PLATFORM = 'platform: "pytorch_libtorch"\ninstance_group [{ count: 1 kind: KIND_CPU }]\n'
WAITING = "max_batch_size: 4\ndynamic_batching { preferred_batch_size: [ 4 ] max_queue_delay_microseconds: 2000000 }\n"
# PyTorch 2.13 says that TorchScript is old; it is what the backend serves.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


def config(first: str, second: str, difference: str = "OUTPUT__0", total: str = "OUTPUT__1") -> str:
    inputs = ", ".join(f'{{ name: "{name}" data_type: TYPE_FP32 dims: [ 2 ] }}' for name in (first, second))
    outputs = ", ".join(f'{{ name: "{name}" data_type: TYPE_FP32 dims: [ 2 ] }}' for name in (difference, total))
    return f"{PLATFORM}{WAITING}input [ {inputs} ]\noutput [ {outputs} ]\n"


def forward(_module: Any, left: Any, right: Any) -> tuple[Any, Any]:
    return left - right, left + right


def add(repository: Path, name: str, config: str, filename: str = "model.pt") -> None:
    """Add a TorchScript of `forward`."""
    torch = import_module("torch")
    module = type("DifferenceAndSum", (torch.nn.Module,), {"forward": forward})()
    path = repository / name / "1" / filename
    path.parent.mkdir(parents=True)
    torch.jit.trace(module, (torch.ones(1, 2), torch.ones(1, 2))).save(str(path))
    (repository / name / "config.pbtxt").write_text(config)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTritonServer]:
    repository = tmp_path_factory.mktemp("torch")
    add(repository, "numbered", config("INPUT__1", "INPUT__0", "OUTPUT__1", "OUTPUT__0"))
    add(repository, "named", config("right", "left"))
    add(repository, "in_order", config("a", "b") + 'default_model_filename: "traced.pt"', "traced.pt")
    with running_tritonserver(repository) as server:
        yield server


@pytest.fixture
def torch_client(models: RunningTritonServer) -> Iterator[InferenceServerClient]:
    with connected(models.http) as client:
        yield client


def row(first: float, second: float) -> Any:
    return np.array([[first, second]], np.float32)


@needs_torch
@pytest.mark.parametrize(
    ("model", "left", "right", "difference"),
    [
        ("numbered", "INPUT__0", "INPUT__1", "OUTPUT__0"),
        ("named", "left", "right", "OUTPUT__0"),
        ("in_order", "a", "b", "OUTPUT__0"),
    ],
)
def test_inputs_are_bound_by_number_or_name_or_order(
    torch_client: InferenceServerClient, model: str, left: str, right: str, difference: str
) -> None:
    answer = infer(torch_client, model, {right: row(1, 2), left: row(10, 20)})
    assert answer[difference].tolist() == [[9, 18]]
    assert answer["OUTPUT__1"].tolist() == [[11, 22]]


@needs_torch
def test_requests_share_a_run(models: RunningTritonServer, torch_client: InferenceServerClient) -> None:
    requests = [{"left": row(index, 0), "right": row(0, index)} for index in range(4)]
    answers = infer_together(models.http, "named", requests)
    assert [answer["OUTPUT__0"].tolist() for answer in answers if isinstance(answer, dict)] == [
        [[index, -index]] for index in range(4)
    ]
    statistics = torch_client.get_inference_statistics("named")["model_stats"][0]
    assert 4 in [batch["batch_size"] for batch in statistics["batch_stats"]]


@needs_torch
def test_a_wrong_data_type_is_the_callers_error(torch_client: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="data-type is 'FP64'") as error:
        infer(torch_client, "named", {"left": np.ones((1, 2)), "right": np.ones((1, 2))})
    assert error.value.status() == "400"


@needs_torch
def test_what_cannot_be_served_says_why(tmp_path: Path) -> None:
    add(tmp_path, "gap", config("INPUT__0", "INPUT__2"))
    add(tmp_path, "strings", config("left", "right").replace("TYPE_FP32", "TYPE_STRING"))
    add(tmp_path, "nonsense", config("left", "right"))
    (tmp_path / "nonsense" / "1" / "model.pt").write_bytes(b"nonsense")
    errors = load_errors(tmp_path)
    assert "INPUT__0, INPUT__2 must all end in __0, __1" in errors["gap"]
    assert "'left' is TYPE_STRING" in errors["strings"]
    assert "model.pt is not TorchScript that PyTorch" in errors["nonsense"]


def test_without_pytorch_the_error_names_the_remedy() -> None:
    """Uses a Python in which torch can't be imported."""
    code = "import sys; sys.path[:0] = sys.argv[1:]; sys.modules['torch'] = None; import model; model.import_torch()"
    backends = [str(TRITON / "backends" / name) for name in ("pytorch", "python")]
    done = subprocess.run([sys.executable, "-c", code, *backends], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "a model of the pytorch backend needs PyTorch" in done.stderr
    assert "install torch for the python3" in done.stderr
