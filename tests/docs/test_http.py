"""docs/http.md names every route, status, media type and limit of the code, and its recipes work."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from http import HTTPStatus

import pytest
from aiohttp import web

from serve import sagemaker
from serve.app import models, server, system
from serve.front_door import FrontDoor
from serve.front_door.configuration import ERRORS
from serve.plan import make
from serve.tenants import lifecycle
from tests.docs.examples import LOCAL, examples, page, printed_labels, promised_labels, section
from tests.serving import RunningServe
from tests.triton import ROOT

PAGE = page("docs/http.md")
SERVE = ROOT / "serve"
STATUSES = {int(status) for status in HTTPStatus if status >= 400}


def routes() -> set[str]:
    """Return the routes that the app registers on endpoints of both kinds, as METHOD /path."""
    app = web.Application()
    system.SystemRoutes(None, None).register(app.router)  # type: ignore[arg-type]  # it only keeps them
    models.ModelRoutes(None, None).register(app.router)  # type: ignore[arg-type]
    server._add_invocations(app, None, "model")  # type: ignore[arg-type]
    return {f"{route.method} {route.resource.canonical}" for route in app.router.routes() if route.resource}


def constants() -> Iterator[object]:
    """Yield the constants of `serve`: docstrings are left out."""
    for file in SERVE.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        yield from (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in prose)


def texts() -> list[str]:
    templates = [file.read_text(encoding="utf-8") for file in SERVE.rglob("*.j2")]
    return [*templates, *(constant for constant in constants() if isinstance(constant, str))]


def test_the_table_of_routes_is_the_apps() -> None:
    rows = [line for line in section(PAGE, "Routes").split("\n### ")[0].splitlines() if line.startswith("| `")]
    named = {found for row in rows for found in re.findall(r"`([A-Z]+ /[^`]*)`", row)}
    assert named == routes()


def test_every_status_is_named() -> None:
    written = {constant for constant in constants() if isinstance(constant, int)} & STATUSES
    rewritten = {int(status) for text in texts() for status in re.findall(r"set-status ([0-9]{3})", text)}
    expected = written | rewritten | set(ERRORS)
    assert {404, 405, 507} <= expected
    assert expected - {int(found) for found in re.findall(r"\b[45][0-9]{2}\b", PAGE)} == set()


def test_every_media_type_is_named() -> None:
    expected = {
        found for text in texts() for found in re.findall(r"\b(?:application|text|image)/[a-z][a-z0-9.+-]*", text)
    }
    assert {"application/json", "text/event-stream", "text/plain"} <= expected
    assert {media_type for media_type in expected if media_type not in PAGE} == set()


def test_every_header_is_named() -> None:
    expected = {found for text in texts() for found in re.findall(r"\bX-Amzn-SageMaker-[A-Z][A-Za-z-]*\b", text)}
    assert {header for header in expected if header not in PAGE} == set()


def test_limits_are_those_of_the_code() -> None:
    defaults = {field.name: field.default for field in fields(FrontDoor)}
    limits = section(PAGE, "Limits and timeouts")
    assert f"| {defaults['body_seconds']} s (408) |" in limits
    assert f"| {defaults['answer_seconds']:,} s (504)" in limits
    assert f"| {lifecycle.LOAD_SECONDS:.0f} s, {lifecycle.UNLOAD_SECONDS:.0f} s |" in limits
    assert f"{make.DRAIN_SECONDS} s |" in limits
    assert f"(1 to {sagemaker.MODELS_PAGE})" in PAGE
    assert server.BODY_BYTES == 1024**3
    assert "| 1 GiB (413) |" in limits


def test_there_is_a_recipe_of_every_form() -> None:
    recipes = section(PAGE, "Recipes")
    assert list(examples(recipes, "sh")) == ["Raw image", "Binary+json"]
    assert list(examples(recipes, "python")) == ["tritonclient"]


@pytest.mark.parametrize(("title", "label"), [("Raw image", "espresso\n"), ("Binary+json", '"missile"')])
def test_shell_recipe(classifier: RunningServe, title: str, label: str) -> None:
    code = examples(section(PAGE, "Recipes"), "sh")[title].replace(LOCAL, classifier.url)
    assert classifier.url in code
    done = subprocess.run(["bash", "-euc", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert label in done.stdout


def test_python_recipe(
    classifier: RunningServe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    exec(examples(section(PAGE, "Recipes"), "python")["tritonclient"].replace(LOCAL, classifier.url), {})
    assert printed_labels(capsys.readouterr().out) == promised_labels()
