"""Reading `endpoint.yaml`: every complaint names the file, the line and the key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from byoc.endpoint.specification import AsyncInference, DataCapture, Specification, Variant, Vpc
from byoc.errors import ConfigurationError

__all__ = ["load"]

Location = tuple[str | int, ...]
_MODEL_KEYS = ("model", "models")


def load(path: Path | None, options: Mapping[str, Any] | None = None) -> Specification:
    """The endpoint that a file describes, with the `options` of the command line put over it.

    Args:
        path: an `endpoint.yaml`, or None to take the options alone. Paths in it are relative to it.
        options: keys of `endpoint.yaml` with their values. Paths in it are relative to the working directory.

    Raises:
        ConfigurationError: with a line for each complaint: `endpoint.yaml:7: instance_type: …` or `--instance-type: …`.
    """
    document, lines = _read(path) if path else ({}, {})
    given = {key: value for key, value in (options or {}).items() if value not in (None, {}, [])}
    if any(key in given for key in _MODEL_KEYS):
        document = {key: value for key, value in document.items() if key not in _MODEL_KEYS}
    document |= {key: _anchored(Path.cwd(), value) if key in _MODEL_KEYS else value for key, value in given.items()}
    try:
        return Specification.model_validate(document)
    except ValidationError as error:
        errors = sorted(error.errors(), key=lambda one: lines.get(_nearest(one["loc"], lines), 0))
        complaints = [_complaint(one, path, lines, given) for one in errors]
        raise ConfigurationError("\n".join(dict.fromkeys(complaints))) from error


def _read(path: Path) -> tuple[dict[str, Any], dict[Location, int]]:
    """The document, its paths made absolute, and the line of every key."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path}: no such file", "`byoc init` writes one to begin with.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:  # a control character; a date that is none
        raise ConfigurationError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(node, yaml.MappingNode):
        raise ConfigurationError(f"{path}: expected keys and values", "`byoc init` writes a file to begin with.")
    return _anchor(path.parent, document), dict(_lines(node, (), path))


def _lines(node: yaml.Node, at: Location, path: Path) -> Iterator[tuple[Location, int]]:
    """Where each key and each list entry stands; raises ConfigurationError if a key stands twice."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise ConfigurationError(f"{path}:{line}: {key.value}: stands twice, first in line {seen[key.value]}")
            seen[key.value] = line
            yield (*at, key.value), line
            yield from _lines(value, (*at, key.value), path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*at, index), value.start_mark.line + 1
            yield from _lines(value, (*at, index), path)


def _anchor(directory: Path, document: dict[str, Any]) -> dict[str, Any]:
    """The document with local model paths relative to `directory` made absolute, in its variants too."""
    anchored = {key: _anchored(directory, value) if key in _MODEL_KEYS else value for key, value in document.items()}
    variants = document.get("variants")
    if isinstance(variants, list):
        anchored["variants"] = [_anchor(directory, one) if isinstance(one, dict) else one for one in variants]
    return anchored


def _anchored(directory: Path, value: object) -> object:
    if not isinstance(value, str | Path) or str(value).startswith("s3://"):
        return value
    return str((directory / Path(value).expanduser()).resolve())


def _complaint(error: ErrorDetails, path: Path | None, lines: dict[Location, int], given: Mapping[str, Any]) -> str:
    """One line for one of pydantic's errors: where, which key, what is wrong."""
    location, text = error["loc"], _text(error)
    if not location and ": " in text and text.split(": ")[0] in Specification.model_fields:
        key, text = text.split(": ", 1)
        location = (key,)
    name = ".".join(str(part) for part in location)
    if location and (str(location[0]) in given or path is None):
        return f"--{name.replace('_', '-')}: {text}"
    nearest = _nearest(location, lines)
    where = f"{path}:{lines[nearest]}" if nearest else str(path or "options")
    return f"{where}: {name}: {text}" if name else f"{where}: {text}"


def _nearest(location: Location, lines: dict[Location, int]) -> Location:
    """The longest beginning of `location` that stands in the file: a missing key is shown where its section is."""
    return next((location[:end] for end in range(len(location), 0, -1) if location[:end] in lines), ())


def _text(error: ErrorDetails) -> str:
    """What is wrong, in words of our own where pydantic's need knowledge of Python."""
    location = error["loc"]
    if error["type"] == "missing":
        return "required key is missing"
    if error["type"] == "extra_forbidden":
        near = get_close_matches(str(location[-1]), _keys_at(location[:-1]), n=1)
        return f"unknown key{f', did you mean {near[0]}?' if near else ''}"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    message = re.sub(r"^(Input|String|List|Dictionary) ", "", error["msg"])
    if "environment" in location:
        return f"{message} (write numbers and true/false in quotes)"
    return f"{error['input']!r} {message}"


def _keys_at(location: Location) -> list[str]:
    """The keys that may stand at `location`."""
    sections: dict[str, type[BaseModel]] = {
        "variants": Variant, "async_inference": AsyncInference, "data_capture": DataCapture, "vpc": Vpc
    }  # fmt: skip
    section = sections.get(str(location[0]), Specification) if location else Specification
    return list(section.model_fields)
