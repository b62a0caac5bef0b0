"""Selecting the models to load, counting their processes, and finding mistakes before the start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from serve.repository import Repository, RepositoryError, inspect_repository, inspect_shared_models, instances

PYTHON = 'backend: "python"\n'
DEPENDS_ON = 'parameters [{ key: "sagemaker.depends_on" value: { string_value: "%s" } }]\n'


def write(directory: Path, configurations: Mapping[str, str]) -> Path:
    """Write Python models with these configurations."""
    for name, text in configurations.items():
        (directory / name / "1").mkdir(parents=True)
        (directory / name / "1" / "model.py").touch()
        (directory / name / "config.pbtxt").write_text(text)
    return directory


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


def loaded(directory: Path, *names: str) -> list[str]:
    return [model.name for model in inspect_repository(directory, names[0], names[1:]).loaded]


def refusal(directory: Path, *names: str) -> str:
    """Return the reason, without what it begins with and the tree."""
    with pytest.raises(RepositoryError) as error:
        inspect_repository(directory, names[0], names[1:])
    reason, _, tree = str(error.value).partition("\nFound:\n")
    assert tree.startswith(f"{directory.name}/\n")
    return reason.removeprefix(f"the model directory {directory} can't be served: ")


def test_what_is_called_is_loaded_and_nothing_else(tmp_path: Path) -> None:
    models = {
        "main": ensemble("first", "second"),
        "first": PYTHON,
        "second": PYTHON + DEPENDS_ON % " inner, main ",
        "inner": PYTHON,
        "other": PYTHON,
    }
    assert loaded(write(tmp_path, models), "main") == ["main", "first", "second", "inner"]


def test_named_models_come_first_and_once(tmp_path: Path) -> None:
    models = {"main": PYTHON, "named": PYTHON + DEPENDS_ON % "main"}
    assert loaded(write(tmp_path, models), "main", "named") == ["main", "named"]


@pytest.mark.parametrize("calling", [ensemble("typo"), PYTHON + DEPENDS_ON % "typo"])
def test_a_called_model_that_is_not_there(tmp_path: Path, calling: str) -> None:
    assert refusal(write(tmp_path, {"main": calling, "part": PYTHON}), "main") == (
        "main/config.pbtxt: main calls the model 'typo', which is not in the model directory: "
        "expected one of main, part"
    )


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        (ensemble("part", "part", tensors=("a", "a")), "writes the tensor 'a'"),
        (ensemble("part", tensors=("t0",)), "writes the tensor 't0'"),
        (ensemble("part").replace('value: "t0"', 'value: "t9"'), "would wait forever for t9"),
    ],
)
def test_an_ensemble_that_would_run_for_ever(tmp_path: Path, steps: str, complaint: str) -> None:
    message = refusal(write(tmp_path, {"main": steps, "part": PYTHON}), "main")
    assert message.startswith("main/config.pbtxt: the step 'part' of main ")
    assert complaint in message


def without_code(directory: Path, versions: tuple[str, ...], configuration: str) -> Path:
    found = write(directory, {"main": PYTHON + configuration})
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
    assert message == f"main/config.pbtxt: main is a Python model without {missing}: add the file"


def test_a_version_that_is_not_served_needs_no_code(tmp_path: Path) -> None:
    found = without_code(tmp_path, ("2",), "version_policy: { specific { versions: [ 1 ] } }")
    assert loaded(found, "main") == ["main"]


def test_a_mistake_in_a_model_that_is_not_loaded_is_a_warning(tmp_path: Path) -> None:
    models = {"main": PYTHON, "broken": "max_batch_size: many", "twice": ensemble("main", "main", tensors=("a", "a"))}
    found = inspect_repository(write(tmp_path, models), "main")
    assert [model.name for model in found.loaded] == ["main"]
    assert [(warning.code, warning.severity, str(warning.path), warning.line) for warning in found.warnings] == [
        ("invalid-config", "warning", "broken/config.pbtxt", 1),
        ("tensor-written-twice", "warning", "twice/config.pbtxt", None),
    ]
    assert all("(the model is not loaded)" in warning.remedy for warning in found.warnings)
    assert "broken/config.pbtxt:1: this is not a valid model configuration" in refusal(tmp_path, "broken")


def test_a_model_to_load_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, {"main": PYTHON, "part": PYTHON}), "main", "part", "typo") == (
        "SAGEMAKER_TRITON_LOAD_MODELS names 'typo', which is not in it: expected some of main, part"
    )


def test_everything_that_is_wrong_is_told(tmp_path: Path) -> None:
    models = {"main": ensemble("part", "typo"), "part": "colour: red"}
    assert refusal(write(tmp_path, models), "main").splitlines()[1:] == [
        '- part/config.pbtxt:1: this is not a valid model configuration: Message type "inference.ModelConfig" has no '
        'field named "colour".: see Triton\'s documentation of config.pbtxt',
        "- main/config.pbtxt: main calls the model 'typo', which is not in the model directory: expected one of main, "
        "part",
    ]


def test_shared_models_are_all_checked(tmp_path: Path) -> None:
    assert inspect_shared_models(tmp_path / "nowhere") == Repository(tmp_path / "nowhere", None, ())
    found = inspect_shared_models(write(tmp_path, {"first": PYTHON, "second": ensemble("first")}))
    assert [model.name for model in found.loaded] == ["first", "second"]
    write(tmp_path, {"third": ensemble("typo")})
    with pytest.raises(RepositoryError, match="third calls the model 'typo'"):
        inspect_shared_models(tmp_path)


@pytest.mark.parametrize(
    ("configuration", "file", "backend", "count"),
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
def test_what_runs_a_model(tmp_path: Path, configuration: str, file: str, backend: str, count: int) -> None:
    (tmp_path / "main" / "1").mkdir(parents=True)
    (tmp_path / "main" / "1" / file).touch()
    (tmp_path / "main" / "config.pbtxt").write_text(configuration)
    [model] = inspect_repository(tmp_path).loaded
    assert (model.config.backend, instances(model.config, gpus=0)) == (backend, count)
