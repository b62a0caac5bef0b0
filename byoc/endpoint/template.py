"""The `endpoint.yaml` that `byoc init` writes, and the marker of the values that have to be filled in."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator

import yaml

__all__ = ["MARKER", "marked", "template", "template_keys"]

MARKER = "<FILL IN>"


def template() -> str:
    """The text of a commented `endpoint.yaml`."""
    return importlib.resources.files("byoc.endpoint").joinpath("endpoint.yaml").read_text("utf-8")


def template_keys() -> tuple[str, ...]:
    """The keys that the template marks."""
    return tuple(str(location[0]) for location in marked(yaml.safe_load(template())))


def marked(document: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The location of every value in a YAML document that still contains the marker."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from marked(value, (*at, str(key)))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from marked(value, (*at, index))
    elif isinstance(document, str) and MARKER in document:
        yield at
