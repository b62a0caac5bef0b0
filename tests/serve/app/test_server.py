"""What the log says until an endpoint is ready."""

from __future__ import annotations

import asyncio
import logging

import pytest

from serve.app.server import announce_ready


@pytest.mark.parametrize(("seconds", "told"), [(0.0, ["loading a", "loading b"]), (3600.0, [])])
def test_what_is_waited_for_is_said_from_time_to_time(
    caplog: pytest.LogCaptureFixture, seconds: float, told: list[str]
) -> None:
    reasons = iter(["loading a", "loading b", None])

    async def reason_not_ready() -> str | None:
        return next(reasons)

    with caplog.at_level(logging.INFO, "serve.app"):
        asyncio.run(announce_ready(reason_not_ready, "resnet", poll_seconds=0, tell_seconds=seconds))
    *waiting, ready = [record.getMessage() for record in caplog.records]
    assert [message.partition(" s: ")[2] for message in waiting] == told
    assert ready.startswith("resnet is ready after ")
