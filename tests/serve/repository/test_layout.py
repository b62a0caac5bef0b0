"""The rules for a model directory, and their error messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from serve.repository import RepositoryError, inspect_repository, is_junk

Files = Callable[..., Path]


@pytest.fixture
def model_directory(tmp_path: Path) -> Files:
    """Returns a function: paths of files (or, with a slash at the end, of directories) → the directory they are in."""

    def make(*paths: str) -> Path:
        directory = tmp_path / "model"
        directory.mkdir()
        for path in paths:
            target = directory / path
            (target if path.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
            if not path.endswith("/"):
                target.touch()
        return directory

    return make


def refusal(directory: Path, default: str | None = None) -> str:
    with pytest.raises(RepositoryError) as error:
        inspect_repository(directory, default)
    return str(error.value)


def test_the_only_model_is_the_default(model_directory: Files) -> None:
    directory = model_directory("resnet/config.pbtxt", "resnet/1/model.onnx")
    repository = inspect_repository(directory)
    assert (repository.directory, repository.default_model, repository.models) == (directory, "resnet", ("resnet",))


def test_a_version_directory_is_enough(model_directory: Files) -> None:
    assert inspect_repository(model_directory("resnet/1/model.onnx")).models == ("resnet",)


def test_a_configuration_makes_a_model(model_directory: Files) -> None:
    """It is one without a version, which is another mistake than none at all."""
    assert "ensemble has no version that Triton serves" in refusal(model_directory("ensemble/config.pbtxt"))


def test_the_default_among_several(model_directory: Files) -> None:
    repository = inspect_repository(model_directory("b/1/x", "a/1/x", "c/1/x"), "b")
    assert (repository.default_model, repository.models) == ("b", ("a", "b", "c"))


def test_what_is_no_model_is_left_out(model_directory: Files) -> None:
    junk = ("._resnet/1/x", "__MACOSX/1/x", ".ipynb_checkpoints/1/x", ".DS_Store", "code/inference.py", "README.md")
    repository = inspect_repository(model_directory("resnet/1/model.onnx", *junk))
    assert (repository.models, repository.default_model) == (("resnet",), "resnet")


@pytest.mark.parametrize("name", ["._model.onnx", ".DS_Store", "__MACOSX", ".ipynb_checkpoints", ".git"])
def test_junk(name: str) -> None:
    assert is_junk(name)


@pytest.mark.parametrize("name", ["model.onnx", "1", "_model", "__init__.py"])
def test_no_junk(name: str) -> None:
    assert not is_junk(name)


def test_no_directory(tmp_path: Path) -> None:
    assert f"the model directory {tmp_path / 'model'} can't be served: it does not exist" in refusal(tmp_path / "model")


def test_no_model(model_directory: Files) -> None:
    message = refusal(model_directory("model.onnx", "__MACOSX/1/x", "latest/model.onnx"))
    assert "it holds no model" in message
    assert "└── model.onnx" in message


def test_empty_directory(model_directory: Files) -> None:
    message = refusal(model_directory())
    assert "it holds no model" in message
    assert "Found:\nmodel/\n(empty)\n" in message


def test_several_models_without_a_default(model_directory: Files) -> None:
    message = refusal(model_directory("a/1/x", "b/1/x"))
    assert "it holds 2 models (a, b): set SAGEMAKER_TRITON_DEFAULT_MODEL_NAME" in message


def test_a_default_that_is_not_there(model_directory: Files) -> None:
    message = refusal(model_directory("a/1/x", "b/1/x"), "c")
    assert "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME='c' is not in it: expected one of a, b" in message


@pytest.mark.parametrize("default", [None, "resnet"])
def test_a_model_at_the_root(model_directory: Files, default: str | None) -> None:
    message = refusal(model_directory("config.pbtxt", "1/model.onnx"), default)
    assert "config.pbtxt at its root: move the model into a directory of its own" in message


def test_both_trees_are_shown(model_directory: Files) -> None:
    message = refusal(model_directory("config.pbtxt", "1/model.onnx", "code/inference.py"))
    found = "Found:\nmodel/\n├── 1/\n│   └── model.onnx\n├── code/\n│   └── inference.py\n└── config.pbtxt\n"
    assert found in message
    assert "Expected:\nmodel/\n└── my_model/" in message
    assert message.index("Found:") < message.index("Expected:")


def test_a_large_tree_is_cut(model_directory: Files) -> None:
    message = refusal(model_directory(*(f"file-{number:03}" for number in range(200))))
    found = message.partition("Found:\n")[2].partition("\nExpected:")[0].splitlines()
    assert (len(found), found[-1]) == (42, "…")


def test_a_deep_tree_is_cut(model_directory: Files) -> None:
    message = refusal(model_directory("a/b/c/d/e"))
    assert "c/" in message
    assert "d/" not in message
