"""Following a pull or a push."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from byoc.image.engine import Event, follow_layers
from byoc.progress import Silent, Transfers


class Recorder(Silent):
    """Keeps what is reported about transfers."""

    def __init__(self) -> None:
        self.reports: list[tuple[object, ...]] = []

    @contextmanager
    def transfers(self) -> Iterator[Transfers]:
        yield self

    def begin(self, name: str, total: int | None = None) -> None:
        self.reports.append(("begin", name, total))

    def update(self, name: str, completed: int, total: int | None = None) -> None:
        self.reports.append(("update", name, completed, total))

    def end(self, name: str, remark: str = "done") -> None:
        self.reports.append(("end", name))


def layer(name: str, status: str, current: int | None = None) -> Event:
    detail = {} if current is None else {"current": current, "total": 9}
    return {"id": name, "status": status, "progressDetail": detail}


def test_layers_are_reported_and_all_else_is_passed_on() -> None:
    events: list[Event] = [
        {"status": "The push refers to repository [x]"},
        layer("a", "Preparing"),
        layer("b", "Layer already exists"),
        layer("a", "Pushing", 4),
        layer("a", "Pushing", 9),
        layer("a", "Pushed"),
        {"id": "c", "error": "denied"},
        {"aux": {"Digest": "sha256:0"}},
    ]
    recorder = Recorder()
    assert list(follow_layers(events, recorder)) == [events[0], events[6], events[7]]
    assert recorder.reports == [("begin", "a", 9), ("update", "a", 4, 9), ("update", "a", 9, 9), ("end", "a")]
