"""Models for a GPU where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from serve.repository import Repository, inspect_repository, read_config, stage_for_cpu


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
    return inspect_repository(directory, "gpu", tuple(configurations))


def wants_gpu(repository: Repository) -> list[str]:
    found = inspect_repository(repository.directory, "gpu", repository.models)
    return [model.name for model in found.loaded if model.config.wants_gpu]


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
    [group] = read_config(staged.directory / "gpu").instance_groups
    assert (group.count, group.gpus) == (2, ())
    assert inspect_repository(staged.directory, "gpu").models == staged.models


def test_a_model_that_is_not_loaded_is_staged_unread(repository: Repository, tmp_path: Path) -> None:
    (repository.directory / "cpu" / "config.pbtxt").write_text("no configuration")
    staged = stage_for_cpu(inspect_repository(repository.directory, "gpu"), tmp_path / "staged")
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


def test_what_is_rewritten_is_the_instance_groups_alone(repository: Repository, tmp_path: Path) -> None:
    staged = stage_for_cpu(repository, tmp_path / "staged")
    before, after = (read_config(one.directory / "gpu") for one in (repository, staged))
    assert replace(after, instance_groups=before.instance_groups) == before
