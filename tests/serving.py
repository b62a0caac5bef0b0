"""Run the real `serve` for as long as a `with` block lasts; its last output is shown if the block fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from byoc.container import process
from byoc.container.base import READY_SECONDS
from byoc.container.process import RunningServe, reserved_environment

__all__ = ["RunningServe", "reserved_environment", "running_serve"]


@contextmanager
def running_serve(
    base_dir: Path,
    environment: Mapping[str, str] | None = None,
    *,
    haproxy: bool = True,
    await_ready: bool = True,
    ready_seconds: float = READY_SECONDS,
) -> Iterator[RunningServe]:
    """Serve `base_dir/model` (multi-model: `base_dir/models`). Arguments as those of `byoc.container.process`."""
    with process.running_serve(
        base_dir, environment, haproxy=haproxy, await_ready=await_ready, ready_seconds=ready_seconds
    ) as serve:
        try:
            yield serve
        except BaseException:
            print(f"last output of {serve.name}:\n{serve.last_output()}")
            raise
