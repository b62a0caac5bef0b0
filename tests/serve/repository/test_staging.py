"""config.pbtxt, and models for a GPU where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve.repository import (
    Repository,
    RepositoryError,
    inspect_repository,
    read_config,
    select_models,
    stage_for_cpu,
    write_config,
)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    directory = tmp_path / "model"
    configurations = {
        "gpu": 'backend: "python" instance_group [{ kind: KIND_GPU count: 2 gpus: [ 0, 1 ] }]',
        "cpu": 'backend: "python" instance_group [{ kind: KIND_CPU }]',
        "default": 'backend: "python"',
    }
    for name, text in configurations.items():
        (directory / name / "1").mkdir(parents=True)
        (directory / name / "1" / "model.py").write_text(f"# {name}")
        (directory / name / "config.pbtxt").write_text(text)
    (directory / "gpu" / "._labels.txt").touch()
    (directory / "gpu" / "labels.txt").write_text("cat")
    return select_models(inspect_repository(directory, "gpu"), configurations, gpus=0)


def wants_gpu(repository: Repository) -> list[str]:
    return [model.name for model in select_models(repository, repository.models, gpus=0).loaded if model.wants_gpu]


def test_what_wants_a_gpu(repository: Repository) -> None:
    assert wants_gpu(repository) == ["gpu"]


def test_staged_models_run_on_the_cpu(repository: Repository, tmp_path: Path) -> None:
    staged = stage_for_cpu(repository, tmp_path / "staged")
    assert (staged.directory, staged.default_model, staged.models) == (
        tmp_path / "staged",
        "gpu",
        ("cpu", "default", "gpu"),
    )
    assert wants_gpu(staged) == []
    group = read_config(staged.directory / "gpu").instance_group[0]
    assert (group.count, list(group.gpus)) == (2, [])
    assert inspect_repository(staged.directory, "gpu").models == staged.models


def test_a_model_that_is_not_loaded_is_staged_unread(repository: Repository, tmp_path: Path) -> None:
    (repository.directory / "cpu" / "config.pbtxt").write_text("no configuration")
    staged = stage_for_cpu(select_models(repository, ["gpu"], gpus=0), tmp_path / "staged")
    assert (staged.directory / "cpu").resolve() == repository.directory / "cpu"


def test_staged_files_are_the_original_ones(repository: Repository, tmp_path: Path) -> None:
    staged = stage_for_cpu(repository, tmp_path / "staged").directory
    assert sorted(path.name for path in (staged / "gpu").iterdir()) == ["1", "config.pbtxt", "labels.txt"]
    assert (staged / "gpu" / "1" / "model.py").resolve() == repository.directory / "gpu" / "1" / "model.py"
    assert (staged / "cpu").resolve() == repository.directory / "cpu"


def test_the_original_stays_as_it_was(repository: Repository, tmp_path: Path) -> None:
    """SageMaker mounts it read-only."""
    before = {path: path.read_bytes() for path in repository.directory.rglob("*") if path.is_file()}
    stage_for_cpu(repository, tmp_path / "staged")
    assert {path: path.read_bytes() for path in repository.directory.rglob("*") if path.is_file()} == before


def test_a_configuration_survives_writing(repository: Repository, tmp_path: Path) -> None:
    config = read_config(repository.directory / "gpu")
    write_config(tmp_path, config)
    assert read_config(tmp_path) == config


def test_no_configuration_is_an_empty_one(tmp_path: Path) -> None:
    assert not read_config(tmp_path).ListFields()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"max_batch_size: many", "1:17"),
        (b'name: "a"\nbackand: "python"', "2:1"),
        (b"\xff\xfe", "utf-8"),
        (b"platform: onnx", "1:11"),
    ],
)
def test_a_configuration_that_is_none(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "config.pbtxt").write_bytes(content)
    with pytest.raises(RepositoryError) as error:
        read_config(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'config.pbtxt'} is not a valid model configuration: ")
    assert complaint in str(error.value)
