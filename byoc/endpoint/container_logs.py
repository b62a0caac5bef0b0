"""What an endpoint's containers wrote, from CloudWatch Logs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from botocore.exceptions import ClientError

from byoc.aws import Aws, error_code
from byoc.errors import NotFoundError

__all__ = ["LogEvent", "follow", "log_group", "since", "tail"]

_STREAMS = 10


@dataclass(frozen=True)
class LogEvent:
    """One line of a container: when (milliseconds since the epoch), which stream (`VARIANT/INSTANCE`), what."""

    timestamp: int
    stream: str
    message: str

    def __str__(self) -> str:
        """The line with its time in UTC."""
        moment = datetime.fromtimestamp(self.timestamp / 1000, timezone.utc)
        return f"{moment:%Y-%m-%d %H:%M:%S} {self.stream}  {self.message}"


def log_group(endpoint: str) -> str:
    """The name of the log group that SageMaker gives an endpoint's containers."""
    return f"/aws/sagemaker/Endpoints/{endpoint}"


def tail(aws: Aws, endpoint: str, lines: int) -> list[LogEvent]:
    """The last `lines` lines of all containers, oldest first; none if they have not written any."""
    group, events = log_group(endpoint), []
    try:
        streams = aws.logs.describe_log_streams(
            logGroupName=group, orderBy="LastEventTime", descending=True, limit=_STREAMS
        )["logStreams"]
        for stream in streams:
            name = stream["logStreamName"]
            found = aws.logs.get_log_events(logGroupName=group, logStreamName=name, limit=lines, startFromHead=False)[
                "events"
            ]
            events += [LogEvent(one["timestamp"], name, one["message"].rstrip()) for one in found]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
    return sorted(events, key=lambda event: event.timestamp)[-lines:]


def since(aws: Aws, endpoint: str, start: int) -> Iterator[LogEvent]:
    """All lines from `start` (milliseconds since the epoch) on, oldest first; raises NotFoundError."""
    for event in _events(aws, endpoint, start):
        yield _line(event)


def follow(aws: Aws, endpoint: str, start: int, interval: float) -> Iterator[LogEvent]:
    """All lines from `start` on, then each new one, asking every `interval` seconds; without end; NotFoundError."""
    seen: dict[str, int] = {}
    while True:
        for event in _events(aws, endpoint, start):
            if event["eventId"] not in seen:
                seen[event["eventId"]] = event["timestamp"]
                yield _line(event)
        start = max([start, *seen.values()])
        seen = {identity: moment for identity, moment in seen.items() if moment >= start}
        time.sleep(interval)


def _line(event: Mapping[str, Any]) -> LogEvent:
    return LogEvent(event["timestamp"], event["logStreamName"], event["message"].rstrip())


def _events(aws: Aws, endpoint: str, start: int) -> list[Mapping[str, Any]]:
    pages = aws.logs.get_paginator("filter_log_events").paginate(logGroupName=log_group(endpoint), startTime=start)
    try:
        events = [event for page in pages for event in page["events"]]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        remedy = "Containers that have not started have not written any; `byoc status` tells how far they are."
        raise NotFoundError(f"There are no logs of an endpoint {endpoint!r} in {aws.region}", remedy) from error
    return sorted(events, key=lambda event: event["timestamp"])
