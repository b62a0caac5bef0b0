"""How long requests took, and percentiles of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Latencies", "Timing", "percentiles"]


@dataclass(frozen=True)
class Timing:
    """One request: how late it was sent, and how long after it was due its response had come. Seconds."""

    late: float
    latency: float


@dataclass(frozen=True)
class Latencies:
    """Milliseconds from when a request was due to its whole response.

    Attributes:
        count: number of requests.
        p50, p99, p999, max: the latency, the client's own delay included.
        late_p999, late_max: how late the client itself sent. Where that is not small beside the latencies, the client
            was too slow to measure them.
    """

    count: int
    p50: float
    p99: float
    p999: float
    max: float
    late_p999: float
    late_max: float

    def __str__(self) -> str:
        """Return a line."""
        return (
            f"p50 {self.p50:.2f}  p99 {self.p99:.2f}  p99.9 {self.p999:.2f}  max {self.max:.2f} ms"
            f"   ({self.count} requests; client late: p99.9 {self.late_p999:.2f}, max {self.late_max:.2f})"
        )


def percentiles(timings: Sequence[Timing]) -> Latencies:
    """Return the percentiles of at least one request: each is the latency of a request, not interpolated."""
    latencies = np.array([timing.latency for timing in timings]) * 1000
    lates = np.array([timing.late for timing in timings]) * 1000
    p50, p99, p999 = map(float, np.percentile(latencies, [50, 99, 99.9], method="higher"))
    late_p999 = float(np.percentile(lates, 99.9, method="higher"))
    return Latencies(len(timings), p50, p99, p999, float(latencies.max()), late_p999, float(lates.max()))
