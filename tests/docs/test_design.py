"""The layout in docs/DESIGN.md has the packages of `serve` and `byoc`."""

from __future__ import annotations

import re

import pytest

from tests.docs.examples import page, section
from tests.triton import ROOT


@pytest.mark.parametrize("product", ["serve", "byoc"])
def test_the_layout_names_every_package(product: str) -> None:
    found = {path.parent.name for path in (ROOT / product).rglob("__init__.py")} - {product}
    part = section(page("docs/DESIGN.md"), "Layout").split(f"\n{product}/")[1]
    named = re.split(r"\n(?! )", part)[0]
    assert set(re.findall(r"^ +(\w+)/ ", named, flags=re.MULTILINE)) == found
