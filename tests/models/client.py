"""Requests to a tritonserver, with numpy arrays in and out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.http import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from tests.triton import running_tritonserver

Arrays = Mapping[str, NDArray[Any]]


@contextmanager
def connected(address: str) -> Iterator[InferenceServerClient]:
    """A client that leaves no connection open: tritonserver would wait for it when it stops."""
    with closing(InferenceServerClient(address, network_timeout=60.0)) as client:
        yield client


def infer(client: InferenceServerClient, model: str, inputs: Arrays, **options: Any) -> dict[str, NDArray[Any]]:
    """Return the outputs of one request. Object arrays are BYTES."""
    tensors = []
    for name, array in inputs.items():
        tensor = InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    result = client.infer(model, tensors, **options)
    return {output["name"]: result.as_numpy(output["name"]) for output in result.get_response()["outputs"]}


def infer_together(address: str, model: str, requests: Sequence[Arrays]) -> list[dict[str, NDArray[Any]] | str]:
    """Send requests at the same time; return the outputs of each, or the message of its error."""

    def one(inputs: Arrays) -> dict[str, NDArray[Any]] | str:
        with connected(address) as client:
            try:
                return infer(client, model, inputs)
            except InferenceServerException as error:
                return str(error)

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(one, requests))


def load_errors(repository: Path) -> dict[str, str]:
    """Return why each model of the repository that has a valid configuration does not load, as the server puts it."""
    lenient = ("--exit-on-error=false", "--strict-readiness=false")
    with running_tritonserver(repository, *lenient) as server, connected(server.http) as client:
        index = client.get_model_repository_index()
    return {model["name"]: model["reason"] for model in index if model.get("state") == "UNAVAILABLE"}


def post(address: str, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Return status and body of a bare HTTP request."""
    with closing(HTTPConnection(address, timeout=60)) as connection:
        connection.request("POST", path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()


def image(*files: bytes) -> dict[str, NDArray[Any]]:
    """Return image files as the ensemble's input: BYTES [batch, 1]."""
    return {"image": np.array(files, dtype=object).reshape(-1, 1)}
