"""The requests that tenants are sent, and checks of their responses."""

from __future__ import annotations

import json

from bench.archives import ROOT
from bench.endpoint import Endpoint
from byoc.errors import InvocationError
from serve import sagemaker

__all__ = ["NUMBERS", "ask_for_numbers", "ask_for_photograph"]

VALUES = [0.5, 1, 2, 4]
NUMBERS = json.dumps({"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32", "data": VALUES}]}).encode()
PHOTOGRAPH = ROOT / "examples" / "photographs" / "coffee.jpg"
BARE_IMAGE = f"{sagemaker.BINARY_JSON_PREFIX}0"


def ask_for_numbers(endpoint: Endpoint, tenant: str) -> None:
    """Make sure that an identity tenant returns what it is sent. Raises InvocationError."""
    response = json.loads(endpoint.client.invoke(tenant, NUMBERS))
    if response["outputs"][0]["data"] != VALUES:
        raise InvocationError(f"{tenant} did not return what it was sent: {response}")


def ask_for_photograph(endpoint: Endpoint, tenant: str) -> None:
    """Make sure that a classifier recognizes a photograph. Raises InvocationError."""
    response = endpoint.client.invoke(tenant, PHOTOGRAPH.read_bytes(), BARE_IMAGE)
    if b"espresso" not in response:
        raise InvocationError(f"{tenant} does not recognize the espresso in {PHOTOGRAPH.name}: {response[:500]!r}")
