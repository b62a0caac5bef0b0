"""A multi-model endpoint of its own for a benchmark, behind either front end."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from byoc.container.process import RunningServe, running_serve
from byoc.load.client import MultiModelClient

__all__ = ["Endpoint", "running_endpoint"]


@dataclass(frozen=True)
class Endpoint:
    """A running multi-model endpoint.

    Attributes:
        serve: its processes.
        models_dir: where archives lie, extracted.
    """

    serve: RunningServe
    models_dir: Path

    @property
    def client(self) -> MultiModelClient:
        """A client of it."""
        return MultiModelClient(self.serve.url)

    def load(self, name: str) -> float:
        """Load the archive `models_dir/name/model`; return how many seconds that took. Raises InvocationError."""
        started = time.monotonic()
        self.client.load(name, str(self.models_dir / name / "model"))
        return time.monotonic() - started


@contextmanager
def running_endpoint(
    front_end: str, shared_models: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Endpoint]:
    """Run a multi-model endpoint without tenants.

    Args:
        front_end: `gateway` or `native`.
        shared_models: the models that the image shares; only the gateway has such.
        environment: more variables.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        models_dir = Path(directory) / "models"
        models_dir.mkdir()
        settings = {
            "SAGEMAKER_MULTI_MODEL": "true",
            "SAGEMAKER_TRITON_FRONTEND": front_end,
            "SAGEMAKER_TRITON_SHARED_MODELS_DIR": str(shared_models or Path(directory) / "none"),
            **(environment or {}),
        }
        with running_serve(Path(directory), settings) as serve:
            yield Endpoint(serve, models_dir)
