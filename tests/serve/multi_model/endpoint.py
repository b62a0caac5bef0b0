"""A running multi-model endpoint: SageMaker's calls, and its internal state."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
from tritonclient.grpc import InferenceServerClient

from tests.serve.client import Response, send, text_request
from tests.serving import RunningServe

__all__ = ["Endpoint", "await_true"]

SECONDS = 60.0
POLL_SECONDS = 0.02
STUB = "triton_python_backend_stub"
JSON = {"Content-Type": "application/json", "Accept": "application/json"}


@dataclass(frozen=True)
class Endpoint:
    """A running multi-model endpoint.

    Attributes:
        serve: the process.
        models_dir: where archives are extracted.
    """

    serve: RunningServe
    models_dir: Path

    def call(self, method: str, path: str, body: bytes | None = None, seconds: float = SECONDS) -> Response:
        return send(self.serve.port, method, path, body, JSON, seconds)

    def load(self, name: str, archive: Path | str, seconds: float = SECONDS) -> Response:
        body = json.dumps({"model_name": name, "url": str(archive)}).encode()
        return self.call("POST", "/models", body, seconds)

    def unload(self, name: str, seconds: float = SECONDS) -> Response:
        return self.call("DELETE", f"/models/{quote(name, safe='')}", seconds=seconds)

    def get(self, name: str) -> Response:
        return self.call("GET", f"/models/{quote(name, safe='')}")

    def invoke(self, name: str, text: str = "hello", **parameters: object) -> Response:
        return self.call("POST", f"/models/{quote(name, safe='')}/invoke", text_request(text, **parameters))

    def said(self, name: str, text: str = "hello") -> str:
        """Invoke a tenant and return the text that it answers with."""
        answer = self.invoke(name, text)
        assert answer.status == 200, answer
        outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
        return str(outputs["said"][0])

    def pages(self, **query: object) -> Iterator[dict[str, Any]]:
        token = None
        while True:
            given = {**query, **({} if token is None else {"next_page_token": token})}
            answer = self.call("GET", "/models?" + "&".join(f"{key}={value}" for key, value in given.items()))
            assert answer.status == 200, answer
            page = answer.json()
            yield page
            token = page.get("nextPageToken")
            if token is None:
                return

    def names(self) -> list[str]:
        return [model["modelName"] for page in self.pages() for model in page["models"]]

    # From the inside.

    @cached_property
    def options(self) -> dict[str, Any]:
        """The app's options."""
        options: dict[str, Any] = json.loads(self.child("serve.app").cmdline()[-1])
        return options

    def child(self, word: str) -> psutil.Process:
        """Return the child of serve whose command line has an argument that ends in this word."""
        [found] = [
            child
            for child in psutil.Process(self.serve.process.pid).children()
            if any(argument.endswith(word) for argument in child.cmdline()[:4])
        ]
        return found

    def stubs(self) -> dict[str, psutil.Process]:
        """Return the live processes of Python models by instance name."""
        found = {}
        for process in psutil.Process(self.serve.process.pid).children(recursive=True):
            try:
                arguments = process.cmdline()
            except psutil.NoSuchProcess:
                continue
            if arguments and arguments[0].endswith(STUB):
                found[arguments[-2]] = process
        return found

    def installed(self) -> set[str]:
        """Return the models in the tenant repository."""
        return {path.name for path in Path(self.options["serves"]["tenant_repository"]).iterdir()}

    def records(self) -> set[str]:
        return {path.name for path in self.record_files()}

    def record_files(self) -> list[Path]:
        """Return the files that tell which tenants are loaded."""
        return list(Path(self.options["serves"]["records_dir"]).iterdir())

    def tenant_map(self) -> dict[str, str]:
        """Return the tenant map that HAProxy starts with."""
        path = Path(self.options["serves"]["tenant_map"])
        return dict(line.split() for line in path.read_text().splitlines()) if path.exists() else {}

    def shared_memory(self) -> set[str]:
        """Return the files in /dev/shm that tritonserver has made."""
        work_dir = Path(self.options["serves"]["records_dir"]).parent
        return {path.name for path in Path("/dev/shm").glob(f"{work_dir.name}-*")}

    def in_triton(self) -> set[str]:
        """Return the models that take memory in Triton."""
        with InferenceServerClient(self.options["serves"]["triton_grpc"]) as triton:
            index = triton.get_model_repository_index()
        return {model.name for model in index.models if model.state in ("READY", "LOADING", "UNLOADING")}

    def left(self) -> dict[str, set[str]]:
        """Return what exists of tenants, by place; empty if none is loaded."""
        shared = set(self.options["serves"]["shared_models"])
        places = {
            "directories": self.installed(),
            "records": self.records(),
            "tenant map": set(self.tenant_map()),
            "models in Triton": self.in_triton() - shared,
            "processes": {name for name in self.stubs() if name.rsplit("_", 2)[0] not in shared},
        }
        return {place: found for place, found in places.items() if found}


def await_true(condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Wait for a condition that has no event.

    Raises:
        TimeoutError: it did not come true; names it.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(POLL_SECONDS)
