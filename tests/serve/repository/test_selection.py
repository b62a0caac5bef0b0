"""Which models are loaded, what is started for each, and the mistakes that are found before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from serve.repository import Model, Repository, RepositoryError, inspect_repository, select_models

PYTHON = 'backend: "python"\n'
DEPENDS_ON = 'parameters [{ key: "sagemaker.depends_on" value: { string_value: "%s" } }]\n'


def repository(directory: Path, configurations: Mapping[str, str]) -> Repository:
    """Write Python models with these configurations; the first is the default."""
    for name, text in configurations.items():
        (directory / name / "1").mkdir(parents=True)
        (directory / name / "1" / "model.py").touch()
        (directory / name / "config.pbtxt").write_text(text)
    return inspect_repository(directory, next(iter(configurations)))


def ensemble(*steps: str, tensors: tuple[str, ...] = ()) -> str:
    """An ensemble that hands the input `t0` from step to step, `t1`, `t2` …, or the named tensors."""
    names = ("t0", *(tensors or tuple(f"t{number + 1}" for number in range(len(steps)))))
    entries = ",".join(
        f'{{ model_name: "{step}" input_map {{ key: "x" value: "{names[number]}" }} '
        f'output_map {{ key: "y" value: "{names[number + 1]}" }} }}'
        for number, step in enumerate(steps)
    )
    return (
        'platform: "ensemble"\ninput [{ name: "t0" data_type: TYPE_FP32 dims: [ 1 ] }]\n'
        f"ensemble_scheduling {{ step [{entries}] }}"
    )


def loaded(found: Repository, *names: str, gpus: int = 0) -> list[str]:
    return [model.name for model in select_models(found, names, gpus).loaded]


def refusal(found: Repository, *names: str) -> str:
    with pytest.raises(RepositoryError) as error:
        select_models(found, names, gpus=0)
    return str(error.value)


def test_what_is_called_is_loaded_and_nothing_else(tmp_path: Path) -> None:
    models = {
        "main": ensemble("first", "second"),
        "first": PYTHON,
        "second": PYTHON + DEPENDS_ON % " inner, main ",
        "inner": PYTHON,
        "other": PYTHON,
    }
    assert loaded(repository(tmp_path, models), "main") == ["main", "first", "second", "inner"]


def test_named_models_come_first_and_once(tmp_path: Path) -> None:
    models = {"main": PYTHON, "named": PYTHON + DEPENDS_ON % "main"}
    assert loaded(repository(tmp_path, models), "main", "named") == ["main", "named"]


@pytest.mark.parametrize("calling", [ensemble("typo"), PYTHON + DEPENDS_ON % "typo"])
def test_a_called_model_that_is_not_there(tmp_path: Path, calling: str) -> None:
    assert refusal(repository(tmp_path, {"main": calling, "part": PYTHON}), "main") == (
        f"{tmp_path / 'main' / 'config.pbtxt'}: main calls the model 'typo', which is not in the model directory, "
        "expected one of main, part"
    )


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        (ensemble("part", "part", tensors=("a", "a")), "writes the tensor 'a'"),
        (ensemble("part", tensors=("t0",)), "writes the tensor 't0'"),
        (ensemble("part").replace('value: "t0"', 'value: "t9"'), "would wait for ever for t9"),
    ],
)
def test_an_ensemble_that_would_run_for_ever(tmp_path: Path, steps: str, complaint: str) -> None:
    message = refusal(repository(tmp_path, {"main": steps, "part": PYTHON}), "main")
    assert message.startswith(f"{tmp_path / 'main' / 'config.pbtxt'}: the step 'part' of main ")
    assert complaint in message


def without_code(directory: Path, versions: tuple[str, ...], configuration: str) -> Repository:
    found = repository(directory, {"main": PYTHON + configuration})
    for version in versions:
        (directory / "main" / version).mkdir()
    return found


@pytest.mark.parametrize(
    ("versions", "configuration", "missing"),
    [
        (("2", "10"), "", "10/model.py"),
        (("2",), "version_policy: { all {} }", "2/model.py"),
        (("2",), "version_policy: { latest { num_versions: 2 } }", "2/model.py"),
        ((), 'default_model_filename: "main.py"', "1/main.py"),
    ],
)
def test_a_python_model_without_code(
    tmp_path: Path, versions: tuple[str, ...], configuration: str, missing: str
) -> None:
    message = refusal(without_code(tmp_path, versions, configuration), "main")
    assert message == f"{tmp_path / 'main' / 'config.pbtxt'}: main is a Python model without {missing}"


def test_a_version_that_is_not_served_needs_no_code(tmp_path: Path) -> None:
    found = without_code(tmp_path, ("2",), "version_policy: { specific { versions: [ 1 ] } }")
    assert loaded(found, "main") == ["main"]


def test_a_mistake_in_a_model_that_is_not_loaded_is_a_warning(tmp_path: Path) -> None:
    models = {"main": PYTHON, "broken": "max_batch_size: many", "twice": ensemble("main", "main", tensors=("a", "a"))}
    found = select_models(repository(tmp_path, models), ["main"], gpus=0)
    assert [model.name for model in found.loaded] == ["main"]
    (warning,) = found.warnings
    assert warning.startswith(f"{tmp_path / 'broken' / 'config.pbtxt'} is not a valid model configuration: 1:17")
    assert warning.endswith("(the model is not loaded)")
    assert "is not a valid model configuration" in refusal(repository(tmp_path / "loaded", models), "broken")


@pytest.mark.parametrize(
    ("configuration", "gpus", "instances"),
    [
        ("", 0, 1),
        ("", 2, 2),
        ("instance_group [{ count: 3 }]", 0, 3),
        ("instance_group [{ count: 3 }]", 2, 6),
        ("instance_group [{ count: 3 kind: KIND_CPU }]", 2, 3),
        ("instance_group [{ count: 3 kind: KIND_GPU gpus: [ 1 ] }]", 2, 3),
        ("instance_group [{ count: 3 kind: KIND_GPU gpus: [ 0, 1 ] }]", 0, 3),
        ("instance_group [{ count: 3 }, { kind: KIND_CPU }]", 0, 4),
    ],
)
def test_instances_as_triton_counts_them(tmp_path: Path, configuration: str, gpus: int, instances: int) -> None:
    found = select_models(repository(tmp_path, {"main": PYTHON + configuration}), ["main"], gpus)
    assert found.loaded == (Model("main", "python", instances, "GPU" in configuration),)


@pytest.mark.parametrize(
    ("configuration", "file", "backend", "instances"),
    [
        ('backend: "dali"', "model.dali", "dali", 1),
        ('platform: "onnxruntime_onnx"', "model.onnx", "onnxruntime", 2),
        ('platform: "tensorrt_plan"', "model.plan", "tensorrt", 1),
        ("max_batch_size: 8", "model.onnx", "onnxruntime", 2),
        ("max_batch_size: 8", "model.py", "python", 1),
        (ensemble(), "README.md", "ensemble", 0),
        ("max_batch_size: 8", "weights.bin", "unknown", 1),
    ],
)
def test_what_runs_a_model(tmp_path: Path, configuration: str, file: str, backend: str, instances: int) -> None:
    (tmp_path / "main" / "1").mkdir(parents=True)
    (tmp_path / "main" / "1" / file).touch()
    (tmp_path / "main" / "config.pbtxt").write_text(configuration)
    found = select_models(inspect_repository(tmp_path), ["main"], gpus=0)
    assert found.loaded == (Model("main", backend, instances),)
