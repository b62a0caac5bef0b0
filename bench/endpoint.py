"""A multi-model endpoint as SageMaker sees it: load, unload and invoke tenants, whichever front end answers."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from byoc.container.process import RunningServe, running_serve
from serve import sagemaker
from tests.serve.processes import descendants

__all__ = ["Endpoint", "EndpointError", "request_headers", "running_endpoint"]

LOAD_SECONDS = float(sagemaker.MODEL_LOAD_SECONDS)


class EndpointError(RuntimeError):
    """The endpoint did not answer with success. The message says what to."""


@dataclass(frozen=True)
class Endpoint:
    """A running multi-model endpoint.

    Attributes:
        serve: its processes.
        models_dir: where archives lie, extracted.
    """

    serve: RunningServe
    models_dir: Path

    def load(self, name: str) -> float:
        """Load the archive `models_dir/name/model`; return how many seconds that took. Raises EndpointError."""
        started = time.monotonic()
        request = {"model_name": name, "url": str(self.models_dir / name / "model")}
        self._send("POST", sagemaker.MODELS, name, json.dumps(request).encode())
        return time.monotonic() - started

    def unload(self, name: str) -> None:
        """Unload a tenant. Raises EndpointError."""
        self._send("DELETE", f"{sagemaker.MODELS}/{name}", name)

    def invoke(self, name: str, body: bytes, content_type: str = sagemaker.JSON) -> bytes:
        """Invoke a tenant and return its answer. Raises EndpointError."""
        return self._send("POST", f"{sagemaker.MODELS}/{name}/invoke", name, body, content_type).content

    def invoke_url(self, name: str) -> str:
        """Return where a tenant is invoked."""
        return f"{self.serve.url}/models/{name}/invoke"

    def memory(self) -> int:
        """Return the bytes that all its processes take; what several of them share is counted once (PSS)."""
        return sum(map(_proportional_bytes, [psutil.Process(self.serve.process.pid), *descendants(self.serve)]))

    def _send(
        self, method: str, path: str, name: str, body: bytes | None = None, content_type: str = sagemaker.JSON
    ) -> requests.Response:
        url, headers = f"{self.serve.url}{path}", request_headers(name, content_type)
        try:
            answer = requests.request(method, url, data=body, headers=headers, timeout=LOAD_SECONDS)
        except requests.RequestException as error:
            raise EndpointError(f"{method} {url}: {error}") from error
        if answer.status_code != 200:
            raise EndpointError(f"{method} {url} was answered with {answer.status_code}: {answer.text[:500]}")
        return answer


def request_headers(name: str, content_type: str = sagemaker.JSON) -> dict[str, str]:
    """Return what SageMaker sends along; the native front end goes by the name of the archive."""
    return {"Content-Type": content_type, sagemaker.TARGET_MODEL: f"{name}.tar.gz"}


@contextmanager
def running_endpoint(
    front_end: str, shared_models: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Endpoint]:
    """Run a multi-model endpoint without tenants.

    Args:
        front_end: `gateway` or `native`.
        shared_models: the models that the image shares; only the gateway knows of such.
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


def _proportional_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0
