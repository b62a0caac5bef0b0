"""The rules for a model directory, and the messages that show where one breaks them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

__all__ = ["Model", "Repository", "RepositoryError", "find_models", "inspect_repository", "is_junk", "is_model", "tree"]

EXPECTED = """\
{name}/
└── my_model/            one directory for each model, its name is the model's name
    ├── config.pbtxt
    └── 1/               at least one version, a number
        └── model.onnx   or model.py, model.plan, model.pt, …"""

TREE_ENTRIES = 40
TREE_DEPTH = 3


class RepositoryError(ValueError):
    """A model directory can't be served. The message says why and shows what was found and what was expected."""


@dataclass(frozen=True)
class Model:
    """A model that Triton is to load.

    Attributes:
        name: the name of its directory.
        backend: what runs it, such as `python`; `ensemble` for one that only calls others.
        instances: how many instances of it Triton starts.
        wants_gpu: whether its configuration names a GPU.
    """

    name: str
    backend: str
    instances: int
    wants_gpu: bool = False


@dataclass(frozen=True)
class Repository:
    """A model directory that can be served.

    Attributes:
        directory: the directory.
        default_model: the name of the model that `/invocations` runs; None for models that tenants share.
        models: the names of all models in it, sorted.
        loaded: those of them that Triton is to load: at the start or, shared ones, once a tenant uses them.
        warnings: what is wrong with the others.
    """

    directory: Path
    default_model: str | None
    models: tuple[str, ...]
    loaded: tuple[Model, ...] = ()
    warnings: tuple[str, ...] = ()


def is_junk(name: str) -> bool:
    """Tell whether macOS, Jupyter or an editor left this entry: it is neither a model nor a part of one."""
    return name.startswith(".") or name == "__MACOSX"


def inspect_repository(directory: Path, default_model: str | None = None) -> Repository:
    """Find the models of a directory and the default one among them.

    Args:
        directory: what SageMaker extracts to `/opt/ml/model`.
        default_model: the model that was asked for, or None for the only one.

    Raises:
        RepositoryError: the directory has no model, several and no default, a model at its root, or lacks the default.
    """
    if not directory.is_dir():
        raise RepositoryError(
            f"the model directory {directory} does not exist: mount or extract the model archive there"
        )
    models = find_models(directory)
    if (directory / "config.pbtxt").exists():
        raise _error(directory, "it has config.pbtxt at its root: move the model into a directory of its own")
    if not models:
        raise _error(directory, "it holds no model (a directory with config.pbtxt or a numbered version directory)")
    if default_model is None and len(models) > 1:
        raise _error(
            directory,
            f"it holds {len(models)} models ({', '.join(models)}): "
            "set SAGEMAKER_TRITON_DEFAULT_MODEL_NAME to the one that /invocations runs",
        )
    if default_model is not None and default_model not in models:
        raise _error(
            directory,
            f"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME={default_model!r} is not in it: expected one of {', '.join(models)}",
        )
    return Repository(directory, default_model or models[0], models)


def find_models(directory: Path) -> tuple[str, ...]:
    """Return the names of the models that a directory holds, sorted."""
    return tuple(sorted(path.name for path in directory.iterdir() if not is_junk(path.name) and is_model(path)))


def is_model(path: Path) -> bool:
    """Tell whether a path is a directory with config.pbtxt or a numbered version directory."""
    if not path.is_dir():
        return False
    return (path / "config.pbtxt").is_file() or any(entry.name.isdigit() and entry.is_dir() for entry in path.iterdir())


def tree(directory: Path) -> str:
    """Draw a directory, three levels deep and 40 lines long at most."""
    lines = list(islice(_tree_lines(directory, "", TREE_DEPTH), TREE_ENTRIES + 1))
    if len(lines) > TREE_ENTRIES:
        lines[TREE_ENTRIES:] = ["…"]
    return "\n".join([f"{directory.name}/", *(lines or ["(empty)"])])


def _error(directory: Path, reason: str) -> RepositoryError:
    return RepositoryError(
        f"the model directory {directory} can't be served: {reason}.\n"
        f"Found:\n{tree(directory)}\nExpected:\n{EXPECTED.format(name=directory.name)}"
    )


def _tree_lines(directory: Path, indent: str, depth: int) -> Iterator[str]:
    entries = sorted(directory.iterdir(), key=lambda path: path.name)
    for entry in entries:
        last = entry is entries[-1]
        is_directory = entry.is_dir()
        yield f"{indent}{'└── ' if last else '├── '}{entry.name}{'/' if is_directory else ''}"
        if is_directory and depth > 1:
            yield from _tree_lines(entry, indent + ("    " if last else "│   "), depth - 1)
