"""Reading `endpoint.yaml`. Every error names the file, the line and the key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from byoc.endpoint.specification import AsyncInference, DataCapture, Specification, Variant, Vpc
from byoc.endpoint.template import MARKER, marked
from byoc.errors import ConfigurationError

__all__ = ["load"]

Document = dict[str, object]
Location = tuple[str | int, ...]
_MODEL_KEYS = ("model", "models")
_MAX_DEPTH = 20


def load(path: Path | None, options: Mapping[str, object] | None = None) -> Specification:
    """The endpoint that a file describes, overridden by the `options` of the command line.

    Args:
        path: an `endpoint.yaml`, or None to use the options alone. Paths in it are relative to it.
        options: keys of `endpoint.yaml` with their values. Paths in it are relative to the working directory.

    Raises:
        ConfigurationError: with a line for each error: `endpoint.yaml:7: instance_type: …` or `--instance-type: …`.
    """
    document, lines = _read(path) if path else (Document(), dict[Location, int]())
    given = {key: value for key, value in (options or {}).items() if value not in (None, {}, [])}
    document = _overridden(document, given)
    source = _Source(path, lines, frozenset(given))
    unfilled = [source.complaint(location, _unfilled(location)) for location in marked(document)]
    if unfilled:
        raise ConfigurationError("\n".join(unfilled))
    try:
        return Specification.model_validate(document)
    except ValidationError as error:
        errors = sorted(error.errors(), key=lambda one: lines.get(_nearest(one["loc"], lines), 0))
        complaints = [source.complaint(*_location_and_text(one)) for one in errors]
        raise ConfigurationError("\n".join(dict.fromkeys(complaints))) from error


def _overridden(document: Document, options: Document) -> Document:
    """The document with the options in it. One for `model` or `models` replaces both keys."""
    if any(key in options for key in _MODEL_KEYS):
        document = {key: value for key, value in document.items() if key not in _MODEL_KEYS}
    return document | _anchor(Path.cwd(), options)


@dataclass(frozen=True)
class _Source:
    """Where the keys come from: the file, the line of each key in it, and the keys set by options."""

    path: Path | None
    lines: Mapping[Location, int]
    options: frozenset[str]

    def complaint(self, location: Location, text: str) -> str:
        """One line: where the key is, the key, what is wrong."""
        name = ".".join(str(part) for part in location)
        if location and (str(location[0]) in self.options or self.path is None):
            return f"--{name.replace('_', '-')}: {text}"
        nearest = _nearest(location, self.lines)
        where = f"{self.path}:{self.lines[nearest]}" if nearest else str(self.path or "options")
        return f"{where}: {name}: {text}" if name else f"{where}: {text}"


def _unfilled(location: Location) -> str:
    """What to write instead of the marker."""
    field = Specification.model_fields.get(str(location[0])) if len(location) == 1 else None
    meaning = f" {field.description}" if field and field.description else ""
    return f"replace {MARKER}.{meaning}"


def _read(path: Path) -> tuple[Document, dict[Location, int]]:
    """The document, with absolute paths, and the line of every key."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path}: no such file", "Create one with `byoc init`.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a control character; an invalid date
        raise ConfigurationError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(node, yaml.MappingNode):
        raise ConfigurationError(f"{path}: expected keys and values", "`byoc init` writes an example.")
    lines = dict(_lines(node, (), path))  # first: it limits the depth
    return _anchor(path.parent, document), lines


def _lines(node: yaml.Node, at: Location, path: Path) -> Iterator[tuple[Location, int]]:
    """The line of each key and each list entry; raises ConfigurationError for a duplicate key."""
    if len(at) > _MAX_DEPTH:  # a node may contain itself, through an alias
        raise ConfigurationError(f"{path}:{node.start_mark.line + 1}: nested more than {_MAX_DEPTH} levels deep")
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise ConfigurationError(f"{path}:{line}: {key.value}: duplicate key (first on line {seen[key.value]})")
            seen[key.value] = line
            yield (*at, key.value), line
            yield from _lines(value, (*at, key.value), path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*at, index), value.start_mark.line + 1
            yield from _lines(value, (*at, index), path)


def _anchor(directory: Path, document: Document) -> Document:
    """The document with its local model paths, which are relative to `directory`, made absolute; variants included."""
    anchored = {key: _anchored(directory, value) if key in _MODEL_KEYS else value for key, value in document.items()}
    variants = document.get("variants")
    if isinstance(variants, list):
        anchored["variants"] = [_anchor(directory, one) if isinstance(one, dict) else one for one in variants]
    return anchored


def _anchored(directory: Path, value: object) -> object:
    if not isinstance(value, str | Path) or str(value).startswith("s3://"):
        return value
    return str((directory / Path(value).expanduser()).resolve())


def _location_and_text(error: ErrorDetails) -> tuple[Location, str]:
    """The key that one of pydantic's errors is about, and what is wrong. Errors of a whole section name the key."""
    location, text = error["loc"], _text(error)
    if not location and ": " in text and text.split(": ")[0] in Specification.model_fields:
        key, text = text.split(": ", 1)
        location = (key,)
    return location, text


def _nearest(location: Location, lines: Mapping[Location, int]) -> Location:
    """The longest prefix of `location` that is in the file: a missing key is reported at its section."""
    return next((location[:end] for end in range(len(location), 0, -1) if location[:end] in lines), ())


def _text(error: ErrorDetails) -> str:
    """What is wrong. Replaces pydantic's messages where they need knowledge of Python."""
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
        return f"{message} (put numbers and true/false in quotes)"
    return f"{error['input']!r} {message}"


def _keys_at(location: Location) -> list[str]:
    """The keys that are allowed at `location`."""
    sections: dict[str, type[BaseModel]] = {
        "variants": Variant, "async_inference": AsyncInference, "data_capture": DataCapture, "vpc": Vpc
    }  # fmt: skip
    section = sections.get(str(location[0]), Specification) if location else Specification
    return list(section.model_fields)
