"""config.pbtxt as frozen values, from the file and from what Triton answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve.repository import (
    InstanceGroup,
    ModelConfig,
    RepositoryError,
    config_from_triton,
    read_config,
)
from serve.repository.config import Step, Tensor, VersionPolicy

ENSEMBLE = """
name: "pipeline"
platform: "ensemble"
max_batch_size: 8
input [{ name: "image" data_type: TYPE_UINT8 dims: [ -1, 3 ] }]
output [{ name: "label" data_type: TYPE_STRING dims: [ 1 ] }]
ensemble_scheduling { step [
  { model_name: "net" input_map { key: "x" value: "image" } output_map { key: "y" value: "logits" } },
  { model_name: "top" input_map { key: "in" value: "logits" } output_map { key: "out" value: "label" } }
] }
parameters { key: "sagemaker.depends_on" value { string_value: " top, extra ,, " } }
"""


def parsed(directory: Path, text: str) -> ModelConfig:
    (directory / "config.pbtxt").write_text(text)
    return read_config(directory)


def test_an_ensemble(tmp_path: Path) -> None:
    config = parsed(tmp_path, ENSEMBLE)
    assert config == ModelConfig(
        name="pipeline",
        backend="ensemble",
        max_batch_size=8,
        inputs=(Tensor("image", "TYPE_UINT8", (-1, 3)),),
        outputs=(Tensor("label", "TYPE_STRING", (1,)),),
        steps=(Step("net", {"x": "image"}, {"y": "logits"}), Step("top", {"in": "logits"}, {"out": "label"})),
        parameters={"sagemaker.depends_on": "top, extra ,,"},
    )
    assert (config.called_models, config.step_models) == (("net", "top", "extra"), ("net", "top"))


def test_instance_groups_and_files(tmp_path: Path) -> None:
    text = (
        'backend: "python" default_model_filename: "main.py" cc_model_filenames { key: "7.5" value: "a.plan" } '
        'runtime: "model.py" instance_group [{ kind: KIND_GPU count: 2 gpus: [ 0, 1 ] name: "g" }, { kind: KIND_CPU }]'
    )
    config = parsed(tmp_path, text)
    assert config.instance_groups == (InstanceGroup("KIND_GPU", 2, (0, 1), "g"), InstanceGroup("KIND_CPU"))
    assert (config.wants_gpu, config.runtime) == (True, "model.py")
    assert (config.default_model_filename, config.cc_model_filenames) == ("main.py", {"7.5": "a.plan"})


@pytest.mark.parametrize(
    ("text", "policy", "served"),
    [
        ("", VersionPolicy(), (9,)),
        ("version_policy { latest { } }", VersionPolicy("latest", latest=0), ()),
        ("version_policy { latest { num_versions: 9 } }", VersionPolicy("latest", latest=9), (1, 3, 9)),
        ("version_policy { latest { num_versions: 2 } }", VersionPolicy("latest", latest=2), (3, 9)),
        ("version_policy { all { } }", VersionPolicy("all"), (1, 3, 9)),
        (
            "version_policy { specific { versions: [ 9, 4, 1 ] } }",
            VersionPolicy("specific", versions=(9, 4, 1)),
            (1, 9),
        ),
        ("version_policy { specific { } }", VersionPolicy("specific"), ()),
    ],
)
def test_which_versions_are_served(tmp_path: Path, text: str, policy: VersionPolicy, served: tuple[int, ...]) -> None:
    config = parsed(tmp_path, text)
    assert config.version_policy == policy
    assert config.version_policy.served((3, 9, 1)) == served


def test_no_configuration_is_an_empty_one(tmp_path: Path) -> None:
    assert read_config(tmp_path) == ModelConfig()


@pytest.mark.parametrize(("text", "megabytes"), [("", 0), (" 1500 ", 1500), ("2 GB", None), ("-1", None), ("²", None)])
def test_the_memory_that_a_model_needs(tmp_path: Path, text: str, megabytes: int | None) -> None:
    parameter = f'parameters {{ key: "sagemaker.required_memory_mb" value {{ string_value: "{text}" }} }}'
    assert parsed(tmp_path, parameter).required_memory_mb == megabytes


@pytest.mark.parametrize(
    ("content", "line", "complaint"),
    [
        (b"max_batch_size: many", 1, "many"),
        (b'name: "a"\nbackand: "python"', 2, "backand"),
        (b"\xff\xfe", None, "utf-8"),
        (b"platform: onnx", 1, "onnx"),
        (b"instance_group [{ kind: 99 }]", None, "99"),
        (b"input [{ data_type: 99 }]", None, "99"),
    ],
)
def test_a_configuration_that_is_none(tmp_path: Path, content: bytes, line: int | None, complaint: str) -> None:
    (tmp_path / "config.pbtxt").write_bytes(content)
    with pytest.raises(RepositoryError) as error:
        read_config(tmp_path)
    (finding,) = error.value.findings
    assert (finding.code, str(finding.path), finding.line) == ("invalid-config", "config.pbtxt", line)
    assert complaint in finding.message


def test_what_triton_answers() -> None:
    """The field names of `ModelConfig`; what a newer Triton adds is of no interest."""
    completed = {
        "name": "net",
        "backend": "onnxruntime",
        "runtime": "model.py",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": 4,
        "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1]}],
        "instance_group": [{"name": "net_0", "kind": "KIND_CPU", "count": 2, "gpus": []}],
        "parameters": {"a": {"string_value": "b"}},
        "colour": "red",
    }
    assert config_from_triton(completed) == ModelConfig(
        name="net",
        backend="onnxruntime",
        runtime="model.py",
        max_batch_size=4,
        inputs=(Tensor("x", "TYPE_FP32", (-1,)),),
        instance_groups=(InstanceGroup("KIND_CPU", 2, name="net_0"),),
        parameters={"a": "b"},
    )


def test_an_answer_that_is_no_configuration() -> None:
    with pytest.raises(ValueError, match="not a model configuration"):
        config_from_triton({"max_batch_size": "many"})
