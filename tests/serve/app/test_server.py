"""What the log says until an endpoint is ready."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from serve.app import server
from serve.plan.make import Machine, make_plan
from serve.repository import Repository
from serve.settings import Settings
from tests.serve.plan.test_make import options


@pytest.mark.parametrize(("seconds", "told"), [(0.0, ["loading a", "loading b"]), (3600.0, [])])
def test_what_is_waited_for_is_said_from_time_to_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, seconds: float, told: list[str]
) -> None:
    monkeypatch.setattr(server, "TELL_SECONDS", seconds)
    monkeypatch.setattr(server, "READY_POLL_SECONDS", 0)
    reasons = iter(["loading a", "loading b", None])

    async def reason_not_ready() -> str | None:
        return next(reasons)

    machine = Machine(0, None, lambda _: True, Path("/run/serve"))
    app = options(make_plan(Settings(), Repository(Path("/opt/ml/model"), "resnet", ("resnet",)), machine))
    with caplog.at_level(logging.INFO, "serve.app"):
        asyncio.run(server._announce_ready(reason_not_ready, app))
    *waiting, ready = [record.getMessage() for record in caplog.records]
    assert [message.partition(" s: ")[2] for message in waiting] == told
    assert ready.startswith("resnet is ready after ")
