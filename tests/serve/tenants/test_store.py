"""The records of loaded tenants."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve.tenants.store import Store
from serve.tenants.values import LoadedTenant

LOADED = LoadedTenant("a", "/a", "a", (("a", "b"), ("c",)), ("shared",), 1.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    for name in ("repository", "records"):
        (tmp_path / name).mkdir()
    return Store(tmp_path / "repository", tmp_path / "records")


def test_what_was_recorded_is_read_again(store: Store) -> None:
    store.record(LOADED)
    assert list(store.recorded()) == [LOADED]
    store.forget("a")
    assert list(store.recorded()) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"layers": 1, "shared": []}'])
def test_a_damaged_record_is_named(store: Store, tmp_path: Path, content: str) -> None:
    store.record(LOADED)
    [path] = (tmp_path / "records").iterdir()
    path.write_text(content)
    with pytest.raises(ValueError, match=f"the record {path} of a loaded tenant is damaged"):
        list(store.recorded())


def test_a_record_that_can_not_be_written_leaves_nothing(store: Store, tmp_path: Path) -> None:
    store.record(LOADED)
    [path] = (tmp_path / "records").iterdir()
    path.unlink()
    path.mkdir()  # nothing can be moved there
    with pytest.raises(OSError, match="directory"):
        store.record(LOADED)
    assert list((tmp_path / "records").iterdir()) == [path]
