"""Calls a multi-model endpoint container as SageMaker does: load, unload and invoke models."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from urllib.parse import quote, urlsplit

from byoc.errors import InvocationError
from byoc.load.request import Request
from serve import sagemaker

__all__ = ["MultiModelClient", "Response", "send"]


@dataclass(frozen=True)
class Response:
    """A response with status 200."""

    content_type: str
    body: bytes


@dataclass(frozen=True)
class MultiModelClient:
    """A client of a multi-model endpoint container.

    Attributes:
        url: its base URL, without a slash at its end.
    """

    url: str

    def load(self, name: str, directory: str) -> None:
        """Load the extracted archive in a directory of the container. Raises InvocationError."""
        body = json.dumps({"model_name": name, "url": directory}).encode()
        send("POST", Request(f"{self.url}{sagemaker.MODELS}", _headers(name, sagemaker.JSON), body))

    def unload(self, name: str) -> None:
        """Unload a model. Raises InvocationError."""
        send("DELETE", Request(self._model_url(name), _headers(name, sagemaker.JSON), b""))

    def invoke(self, name: str, body: bytes, content_type: str = sagemaker.JSON) -> bytes:
        """Invoke a model and return the body of the response. Raises InvocationError."""
        return send("POST", self.invocation(name, body, content_type)).body

    def invocation(self, name: str, body: bytes, content_type: str = sagemaker.JSON) -> Request:
        """Return the request that invokes a model, for a load generator."""
        return Request(f"{self._model_url(name)}/invoke", _headers(name, content_type), body)

    def _model_url(self, name: str) -> str:
        return f"{self.url}{sagemaker.MODELS}/{quote(name, safe='')}"


def send(method: str, request: Request, seconds: float = sagemaker.MODEL_LOAD_SECONDS) -> Response:
    """Send one request, never through a proxy, and return the response.

    Raises:
        InvocationError: the status was not 200, or there was no response within `seconds`.
    """
    address = urlsplit(request.url)
    with closing(HTTPConnection(str(address.hostname), address.port, timeout=seconds)) as connection:
        try:
            connection.request(method, address.path, request.body, dict(request.headers))
            response = connection.getresponse()
            body = response.read()
        except (OSError, HTTPException) as error:
            raise InvocationError(f"{method} {request.url}: {type(error).__name__} {error}") from error
    if response.status != 200:
        text = body[:500].decode(errors="replace")
        raise InvocationError(f"{method} {request.url} returned {response.status}: {text}")
    return Response(response.headers.get("Content-Type", ""), body)


def _headers(name: str, content_type: str) -> dict[str, str]:
    """Return what SageMaker sends along. Triton's own front end goes by the name of the archive."""
    return {"Content-Type": content_type, sagemaker.TARGET_MODEL: f"{name}.tar.gz"}
