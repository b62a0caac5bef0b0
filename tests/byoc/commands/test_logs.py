"""`byoc logs`."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from typing import Any

import pytest

from byoc.aws import Aws
from byoc.endpoint import container_logs
from tests.byoc.conftest import Byoc

GROUP = "/aws/sagemaker/Endpoints/classifier"


def write_logs(session: Aws, **streams: Iterable[tuple[int, str]]) -> None:
    """Stream → its lines, each with the milliseconds after a minute ago."""
    start = int((time.time() - 60) * 1000)
    if not session.logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]:
        session.logs.create_log_group(logGroupName=GROUP)
    for stream, lines in streams.items():
        events: Any = [{"timestamp": start + after, "message": text} for after, text in lines]
        if not session.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=stream)["logStreams"]:
            session.logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
        session.logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)


def messages(text: str) -> list[str]:
    return [line.partition("  ")[2] for line in text.splitlines()]


def test_logs_of_all_instances_by_time(account: Aws, byoc: Byoc) -> None:
    write_logs(account, one=[(1, "a"), (30, "d")], two=[(10, "b\n"), (20, "c")])
    assert messages(byoc.ok("logs", "classifier").out) == ["a", "b", "c", "d"]
    assert byoc.ok("logs", "classifier", "--minutes", "0").out == ""


def test_tail_is_the_end(account: Aws) -> None:
    write_logs(account, one=[(number, str(number)) for number in range(0, 100, 2)], two=[(51, "x"), (97, "y")])
    assert [event.message for event in container_logs.tail(account, "classifier", 3)] == ["96", "y", "98"]
    assert container_logs.tail(account, "nobody", 3) == []


def test_follow_prints_each_line_once(account: Aws, byoc: Byoc, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes while it waits, at the same millisecond too, and then Ctrl-C."""
    write_logs(account, one=[(1, "a"), (2, "b")])
    waits = itertools.count()

    def meanwhile(seconds: float) -> None:
        match next(waits):
            case 0:
                write_logs(account, two=[(2000, "c"), (3000, "d")])
            case 1:
                write_logs(account, two=[(4000, "e")])
            case 2:
                raise KeyboardInterrupt

    monkeypatch.setattr("byoc.endpoint.container_logs.time.sleep", meanwhile)
    result = byoc("logs", "classifier", "--follow")
    assert (result.status, messages(result.out)) == (130, ["a", "b", "c", "d", "e"])
