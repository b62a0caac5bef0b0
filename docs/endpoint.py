"""Writes docs/endpoint.md and docs/endpoint.schema.json from byoc/endpoint/specification.py: `make docs`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from byoc.endpoint.specification import AsyncInference, DataCapture, Specification, Variant, Vpc

__all__ = ["PAGE", "SCHEMA", "render", "schema"]

PAGE = Path(__file__).with_suffix(".md")
SCHEMA = Path(__file__).with_suffix(".schema.json")

HEAD = """\
# `endpoint.yaml`

<!-- Written by `make docs` from byoc/endpoint/specification.py. Change the keys there. -->

The endpoint that `byoc deploy` creates. `byoc init` writes a file with comments to start from; replace every
`<FILL IN>` in it. Names are those of SageMaker's API, in snake case. Paths are relative to the file. For an unknown,
missing or invalid key, `byoc` prints one line that names the file, the line and the key, and exits with status 1.
Options of `byoc deploy` override the keys of the same name.

[endpoint.schema.json](endpoint.schema.json) is the same as a JSON Schema for editors. With the YAML language server,
put `# yaml-language-server: $schema=PATH/endpoint.schema.json` on the first line.
"""
SECTIONS = (
    ("Top level", Specification, ""),
    (
        "`variants`",
        Variant,
        "A list. A variant has the keys below. It can also override the keys of the container and its instances that "
        "are set at the top level: `image`, `model`, `models`, `model_cache`, `instance_type`, `instance_count`, "
        "`volume_size_in_gb` and the timeouts. Its `environment` is added to the one at the top level.",
    ),
    ("`async_inference`", AsyncInference, ""),
    ("`data_capture`", DataCapture, ""),
    ("`vpc`", Vpc, ""),
)
OWN_OF_VARIANT = ("name", "weight")


def schema() -> str:
    """Return the JSON Schema."""
    return json.dumps(Specification.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def render() -> str:
    """Return the page."""
    return HEAD + "".join(_section(title, model, text) for title, model, text in SECTIONS)


def _section(title: str, model: Any, text: str) -> str:
    definition = model.model_json_schema()
    required = definition.get("required", [])
    shown = [name for name in definition["properties"] if model is not Variant or name in OWN_OF_VARIANT]
    rows = [
        _row(name, definition["properties"][name], name in required)
        for name in sorted(shown, key=lambda name: name not in required)
    ]
    intro = f"\n{text}\n" if text else ""
    return f"\n## {title}\n{intro}\n| Key | Values | Meaning |\n|---|---|---|\n" + "".join(rows)


def _row(name: str, described: dict[str, Any], required: bool) -> str:
    values = _values(described)
    meaning = described.get("description", "")
    if required:
        values += ", required"
    elif described.get("default") not in (None, [], {}):
        values += f", default `{json.dumps(described['default'])}`"
    return f"| `{name}` | {values} | {meaning} |\n"


def _values(described: dict[str, Any]) -> str:
    """The values of a key, as text."""
    if "anyOf" in described:
        return " or ".join(_values(choice) for choice in described["anyOf"] if choice.get("type") != "null")
    if "$ref" in described:
        section = re.sub(r"(?<!^)(?=[A-Z])", "_", described["$ref"].rpartition("/")[2]).lower()
        return "keys, see below" if section != "variant" else "variants, see below"
    if "enum" in described:
        return " or ".join(f"`{value}`" for value in described["enum"])
    kinds = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}
    if described["type"] == "array":
        return f"list of {_values(described['items'])}"
    if described["type"] == "object":
        return "map of name to text"
    return kinds[described["type"]] + _bounds(described)


def _bounds(described: dict[str, Any]) -> str:
    low, high = described.get("minimum"), described.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    return f", {low} or more" if low is not None else ""


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")
