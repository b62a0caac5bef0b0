"""Which models of a directory Triton is to load, checked before anything is started."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from serve.repository.checks import mistakes
from serve.repository.config import backend, called_models, instances, names_gpu, read_config
from serve.repository.layout import Model, Repository, RepositoryError

__all__ = ["select_models"]


def select_models(repository: Repository, names: Iterable[str], gpus: int) -> Repository:
    """Return the repository with the named models, and all that they call, directly or not, as those to load.

    Args:
        repository: the directory.
        names: models of it.
        gpus: number of GPUs of this machine.

    Raises:
        RepositoryError: one of these models has a mistake, or calls a model that is not in the directory.
    """
    loaded: dict[str, Model] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in loaded:
            model = repository.directory / name
            config = read_config(model)
            _check(repository, model, config)
            count = instances(model, config, gpus)
            loaded[name] = Model(name, backend(model, config), count, any(map(names_gpu, config.instance_group)))
            waiting += called_models(config)
    others = (name for name in repository.models if name not in loaded)
    return replace(repository, loaded=tuple(loaded.values()), warnings=tuple(_unreadable(repository, others)))


def _check(repository: Repository, model: Path, config: Any) -> None:
    for mistake in mistakes(model.name, model, config):
        raise RepositoryError(f"{model / 'config.pbtxt'}: {mistake}")
    for called in called_models(config):
        if called not in repository.models:
            raise RepositoryError(
                f"{model / 'config.pbtxt'}: {model.name} calls the model {called!r}, which is not in the model "
                f"directory, expected one of {', '.join(repository.models)}"
            )


def _unreadable(repository: Repository, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        try:
            read_config(repository.directory / name)
        except RepositoryError as error:
            yield f"{error} (the model is not loaded)"
