"""Archives of small models, laid out as SageMaker extracts them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Gate", "Model", "ensemble", "word", "write_archive"]

MODELS = Path(__file__).parent / "models"
TEXT = """\
input [{ name: "text" data_type: TYPE_STRING dims: [ 1 ] }]
output [{ name: "said" data_type: TYPE_STRING dims: [ 1 ] }]"""
OUTPUTS = {"probe": "text"}  # of the models that call it otherwise
GATE_SECONDS = 30.0


@dataclass(frozen=True)
class Model:
    """A model directory. `config`: None writes no config.pbtxt. `files`: path → content."""

    config: str | None
    files: Mapping[str, str] = field(default_factory=dict)

    def write(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        if self.config is not None:
            (directory / "config.pbtxt").write_text(self.config)
        for path, content in self.files.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(content)


def word(word: str = "", more: str = "", **parameters: str) -> Model:
    """A Python model that says a word; see `models/word.py` for its parameters.

    Args:
        more: more of the configuration.
        parameters: `__` in a name stands for a dot.
    """
    given = {"word": word, **{name.replace("__", "."): value for name, value in parameters.items()}}
    lines = [f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}' for key, value in given.items()]
    config = "\n".join(['backend: "python"', TEXT, *lines, more])
    return Model(config, {"1/model.py": (MODELS / "word.py").read_text()})


def ensemble(*steps: str, more: str = "") -> Model:
    """An ensemble that hands a text through models, one after the other."""
    names = ["text", *(f"after_{number}" for number in range(1, len(steps))), "said"]
    rendered = ", ".join(
        f'{{ model_name: "{step}" model_version: -1 input_map {{ key: "text" value: "{before}" }} '
        f'output_map {{ key: "{OUTPUTS.get(step, "said")}" value: "{after}" }} }}'
        for step, before, after in zip(steps, names, names[1:], strict=False)
    )
    return Model(
        f'platform: "ensemble"\n{TEXT}\nensemble_scheduling {{ step [ {rendered} ] }}\n{more}', {"1/.keep": ""}
    )


def write_archive(directory: Path, models: Model | Mapping[str, Model]) -> Path:
    """Write an archive in place of the one that was there.

    Args:
        directory: where it is extracted.
        models: by directory, or the one model that the archive itself is.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, model in ({"": models} if isinstance(models, Model) else models).items():
        model.write(directory / name)
    return directory


@dataclass(frozen=True)
class Gate:
    """Blocks a model: the model reports that it has reached the gate, and waits until the gate is opened."""

    directory: Path

    def __str__(self) -> str:
        return str(self.directory)

    def await_started(self, processes: int = 1) -> None:
        """Wait until so many processes have reached the gate."""
        deadline = time.monotonic() + GATE_SECONDS
        while len(list(self.directory.glob("started-*"))) < processes:
            if time.monotonic() > deadline:
                raise TimeoutError(f"too few came to {self.directory} within {GATE_SECONDS:g} s")
            time.sleep(0.01)

    def open(self) -> None:
        (self.directory / "open").touch()
