"""Any text may be a model's name: SageMaker generates names, in an undocumented format."""

from __future__ import annotations

import pytest

from tests.serve.client import send, text_request
from tests.serve.multi_model.archives import ensemble, word
from tests.serve.multi_model.conftest import WriteArchive
from tests.serve.multi_model.endpoint import Endpoint

NAMES = {
    "SageMaker's own": "0a3f" * 16,
    "hyphens": "a-b-c",
    "double hyphen": "a--b",
    "dots": "model.v1.tar.gz",
    "leading dot": ".hidden",
    "two dots inside": "a..b",
    "underscore": "_a",
    "spaces": "two words ",
    "unicode": "модель-模型-🐈",
    "quotes and braces": "a'b\"c{d}e$f%g&h?i#j+k=l;m",
    "a percent code": "a%2Fb",
    "backslash": "a\\b",
    "newline": "a\nb",
    "long": "x" * 200,
    "very long": "y" * 1500,
    "like a shared model": "probe",
    "like an unused shared model": "broken",
    "like a placeholder": "{table}",
    "like a word of Triton's URLs": "versions",
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_name(endpoint: Endpoint, archive: WriteArchive, kind: str) -> None:
    name = NAMES[kind]
    assert endpoint.load(name, archive("named", {"pipeline": ensemble("probe")})).json()["modelName"] == name
    assert endpoint.names() == [name]
    assert endpoint.get(name).json()["modelName"] == name
    assert endpoint.said(name, "called") == "called"
    assert endpoint.load(name, endpoint.models_dir / "named" / "model").status == 409
    assert endpoint.unload(name).json()["modelName"] == name
    assert endpoint.invoke(name).status == 404


def test_names_that_look_alike_are_different_models(endpoint: Endpoint, archive: WriteArchive) -> None:
    """Names in Triton, including those of sub-models, don't clash."""
    names = ["a", "a--b", "a-", "a b", "a_b", "a.b", "A", "a%20b", "a+b"]
    for number, name in enumerate(names):
        url = archive(f"alike-{number}", {"b": ensemble("probe"), "-b": ensemble("b"), "top": ensemble("-b", "probe")})
        assert endpoint.load(name, url).status == 200, name
    assert endpoint.names() == sorted(names)
    assert len(endpoint.installed()) == 3 * len(names)
    for name in names:
        assert endpoint.said(name) == "hello"
        assert endpoint.unload(name).status == 200
        assert endpoint.invoke(name).status == 404


def test_a_name_may_look_like_the_one_that_another_gets_in_triton(endpoint: Endpoint, archive: WriteArchive) -> None:
    assert endpoint.load("two words", archive("first", word("first"))).status == 200
    [taken] = endpoint.installed()
    assert endpoint.load(taken, archive("second", word("second"))).status == 200
    assert endpoint.said("two words") == "hello first"
    assert endpoint.said(taken) == "hello second"
    assert endpoint.unload("two words").status == 200
    assert endpoint.said(taken) == "hello second"


def test_one_name_in_several_encodings(endpoint: Endpoint, archive: WriteArchive) -> None:
    assert endpoint.load("a.b~c", archive("encoded", {"pipeline": ensemble("probe")})).status == 200
    for path in ("/models/a.b~c/invoke", "/models/%61%2Eb%7Ec/invoke", "/models/%61%2eb%7ec/invoke"):
        assert send(endpoint.serve.port, "POST", path, text_request()).status == 200, path
    for path in ("/models/a.b~c%2F/invoke", "/models/a.b~c%00/invoke", "/models/A.b~c/invoke", "/models/%/invoke"):
        assert send(endpoint.serve.port, "POST", path, text_request()).status == 404, path


def test_a_name_never_leads_out_of_the_repository(endpoint: Endpoint, archive: WriteArchive) -> None:
    url = archive("dots", {"pipeline": ensemble("probe")})
    for name in (".", ".."):
        assert endpoint.load(name, url).status == 200
        assert endpoint.names() == [name]
        [installed] = endpoint.installed()
        assert installed.strip(".")
        assert send(endpoint.serve.port, "DELETE", f"/models/{name.replace('.', '%2E')}").status == 200
