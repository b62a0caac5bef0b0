"""`GET /models`: pages of 100 models."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from tests.serve.multi_model.archives import ensemble, write_archive
from tests.serve.multi_model.conftest import without_tenants
from tests.serve.multi_model.endpoint import Endpoint

COUNT = 230
NAMES = sorted(f"model-{number:03}" for number in range(COUNT))


@pytest.fixture(scope="module")
def crowded(endpoint_gateway: Endpoint) -> Iterator[Endpoint]:
    """230 tenants that cost no process: ensembles on a shared model."""
    lent = without_tenants(endpoint_gateway)
    endpoint = next(lent)
    archive = write_archive(endpoint.models_dir / "crowd" / "model", {"pipeline": ensemble("probe")})
    with ThreadPoolExecutor(8) as threads:
        assert {answer.status for answer in threads.map(lambda name: endpoint.load(name, archive), NAMES)} == {200}
    yield endpoint
    with ThreadPoolExecutor(8) as threads:
        assert {answer.status for answer in threads.map(endpoint.unload, NAMES)} == {200}
    assert list(lent) == []


def test_pages_of_100(crowded: Endpoint) -> None:
    pages = list(crowded.pages())
    assert [len(page["models"]) for page in pages] == [100, 100, 30]
    assert [model["modelName"] for page in pages for model in page["models"]] == NAMES
    assert ["nextPageToken" in page for page in pages] == [True, True, False]


@pytest.mark.parametrize("limit", [1, 7, 23, 99, 100])
def test_limit(crowded: Endpoint, limit: int) -> None:
    pages = list(crowded.pages(limit=limit))
    assert [model["modelName"] for page in pages for model in page["models"]] == NAMES
    assert {len(page["models"]) for page in pages[:-1]} == {limit}
    assert 1 <= len(pages[-1]["models"]) <= limit


def test_pages_go_on_where_they_were_when_models_come_and_go(crowded: Endpoint) -> None:
    pages = crowded.pages()
    first = [model["modelName"] for model in next(pages)["models"]]
    assert crowded.unload(NAMES[0]).status == 200
    assert crowded.unload(first[-1]).status == 200
    rest = [model["modelName"] for page in pages for model in page["models"]]
    assert rest == NAMES[100:]
    for name in (NAMES[0], first[-1]):
        assert crowded.load(name, crowded.models_dir / "crowd" / "model").status == 200


def test_invocations_among_many(crowded: Endpoint) -> None:
    assert [crowded.said(name, name) for name in NAMES[::23]] == NAMES[::23]


@pytest.mark.parametrize("limit", ["0", "-1", "101", "many", "", "1.5", "²", "٣", "9" * 5000])
def test_bad_limit(crowded: Endpoint, limit: str) -> None:
    answer = crowded.call("GET", f"/models?limit={quote(limit)}")
    assert answer.status == 400
    assert "expected a whole number from 1 to 100" in answer.error()


@pytest.mark.parametrize("token", ["!", "a", "_____w==", "%ff", "%25", "%F0%9F%90%88"])
def test_bad_token(crowded: Endpoint, token: str) -> None:
    answer = crowded.call("GET", f"/models?next_page_token={token}")
    assert answer.status == 400
    assert "next_page_token" in answer.error()


def test_an_empty_token_is_none(crowded: Endpoint) -> None:
    assert crowded.call("GET", "/models?next_page_token=").json()["models"][0]["modelName"] == NAMES[0]
