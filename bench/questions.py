"""What tenants are asked, and whether they answered it."""

from __future__ import annotations

import json

from bench.endpoint import Endpoint, EndpointError
from serve import sagemaker
from tests.triton import ROOT

__all__ = ["NUMBERS", "ask_for_numbers", "ask_for_photograph"]

VALUES = [0.5, 1, 2, 4]
NUMBERS = json.dumps({"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32", "data": VALUES}]}).encode()
PHOTOGRAPH = ROOT / "examples" / "photographs" / "coffee.jpg"
BARE_IMAGE = f"{sagemaker.BINARY_JSON_PREFIX}0"


def ask_for_numbers(endpoint: Endpoint, tenant: str) -> None:
    """Make sure that an identity tenant gives back what it gets. Raises EndpointError."""
    answer = json.loads(endpoint.invoke(tenant, NUMBERS))
    if answer["outputs"][0]["data"] != VALUES:
        raise EndpointError(f"{tenant} did not give back what it was sent: {answer}")


def ask_for_photograph(endpoint: Endpoint, tenant: str) -> None:
    """Make sure that a classifier sees what a photograph shows. Raises EndpointError."""
    answer = endpoint.invoke(tenant, PHOTOGRAPH.read_bytes(), BARE_IMAGE)
    if b"espresso" not in answer:
        raise EndpointError(f"{tenant} does not see the espresso in {PHOTOGRAPH.name}: {answer[:500]!r}")
