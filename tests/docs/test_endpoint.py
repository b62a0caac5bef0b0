"""docs/endpoint.md and docs/endpoint.schema.json say what the keys of `endpoint.yaml` are."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel

from byoc.endpoint.specification import AsyncInference, DataCapture, Specification, Variant, Vpc
from docs.endpoint import PAGE, SCHEMA, render, schema


def test_page_and_schema_are_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == render(), "stale: run `make docs`"
    assert SCHEMA.read_text("utf-8") == schema(), "stale: run `make docs`"


@pytest.mark.parametrize("section", [Specification, Variant, AsyncInference, DataCapture, Vpc])
def test_every_key_is_described(section: type[BaseModel]) -> None:
    assert [name for name, field in section.model_fields.items() if not field.description] == []
    assert set(section.model_fields) <= {line.split("`")[1] for line in render().splitlines() if line.startswith("| `")}


def test_schema_allows_no_other_keys() -> None:
    described = json.loads(schema())
    assert described["additionalProperties"] is False
    assert all(one["additionalProperties"] is False for one in described["$defs"].values())
