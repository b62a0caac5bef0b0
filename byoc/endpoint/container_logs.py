"""The output of an endpoint's containers, from CloudWatch Logs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from byoc.aws import Aws, error_code
from byoc.errors import NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef

__all__ = ["LogEvent", "follow", "log_group", "since", "tail"]

_STREAMS = 10


@dataclass(frozen=True)
class LogEvent:
    """One log line: its time (milliseconds since the epoch), its stream (`VARIANT/INSTANCE`), its text."""

    timestamp: int
    stream: str
    message: str

    def __str__(self) -> str:
        """The line with its time in UTC."""
        moment = datetime.fromtimestamp(self.timestamp / 1000, timezone.utc)
        return f"{moment:%Y-%m-%d %H:%M:%S} {self.stream}  {self.message}"


def log_group(endpoint: str) -> str:
    """The name of the log group that SageMaker creates for an endpoint."""
    return f"/aws/sagemaker/Endpoints/{endpoint}"


def tail(aws: Aws, endpoint: str, lines: int) -> list[LogEvent]:
    """The last `lines` lines of all containers, oldest first; empty if there are no logs."""
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
    """All lines since `start` (milliseconds since the epoch), oldest first.

    Raises:
        NotFoundError: the endpoint has no logs.
    """
    for event in _events(aws, endpoint, start):
        yield _log_event(event)


def follow(aws: Aws, endpoint: str, start: int, interval: float) -> Iterator[LogEvent]:
    """All lines since `start`, then new lines as they arrive, polling every `interval` seconds. Never ends.

    Raises:
        NotFoundError: the endpoint has no logs.
    """
    seen: dict[str, int] = {}
    while True:
        for event in _events(aws, endpoint, start):
            if event["eventId"] not in seen:
                seen[event["eventId"]] = event["timestamp"]
                yield _log_event(event)
        start = max([start, *seen.values()])
        seen = {event_id: timestamp for event_id, timestamp in seen.items() if timestamp >= start}
        time.sleep(interval)


def _log_event(event: FilteredLogEventTypeDef) -> LogEvent:
    return LogEvent(event["timestamp"], event["logStreamName"], event["message"].rstrip())


def _events(aws: Aws, endpoint: str, start: int) -> list[FilteredLogEventTypeDef]:
    pages = aws.logs.get_paginator("filter_log_events").paginate(logGroupName=log_group(endpoint), startTime=start)
    try:
        events = [event for page in pages for event in page["events"]]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        remedy = "Containers log nothing before they start; `byoc status` shows the endpoint's state."
        raise NotFoundError(f"There are no logs of an endpoint {endpoint!r} in {aws.region}", remedy) from error
    return sorted(events, key=lambda event: event["timestamp"])
