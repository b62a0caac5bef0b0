"""Measure what the front door costs: the gateway against Triton's own SageMaker port (`native`), in one run.

Both serve the same model, which returns its input. They are loaded in turns, in short rounds, and each round of one
is compared with the round of the other next to it: what else happens on the machine then hits both alike.
The last line of the output is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

from byoc.container.process import running_serve
from byoc.errors import ContainerError, InvocationError, LoadError
from byoc.load import closed_loop
from byoc.load.client import send
from byoc.load.closed_loop import Throughput
from byoc.load.request import Request
from serve import sagemaker

REPOSITORY = Path(__file__).with_name("model_repository")
IMAGE_VALUES = 3 * 224 * 224  # 4 bytes each: 602,112 bytes
WARM_UP_SECONDS = 1


@dataclass(frozen=True)
class Pair:
    """One round: the gateway and the native front end, one after the other."""

    gateway: Throughput
    native: Throughput

    @property
    def throughput_ratio(self) -> float:
        """Responses a second of the gateway, divided by those of the native front end."""
        return self.gateway.per_second / self.native.per_second

    @property
    def p50_added_ms(self) -> float:
        """What the gateway adds to the median latency, in milliseconds."""
        return self.gateway.p50_ms - self.native.p50_ms


@dataclass(frozen=True)
class Payload:
    """What is sent: a body and its media type."""

    body: bytes
    content_type: str

    def request(self, url: str) -> Request:
        """Return the request that sends it to a front end."""
        return Request(url, {"Content-Type": self.content_type}, self.body)


@dataclass(frozen=True)
class Workload:
    """A payload and how many connections send it."""

    name: str
    payload: Payload
    connections: int


@dataclass(frozen=True)
class FrontEnds:
    """The URLs of `/invocations` behind each front end."""

    gateway: str
    native: str


def main() -> None:
    """Measure, print, and exit with status 1 if a request failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each workload (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=2, help="seconds of each half of a round (default: %(default)s)")
    options = parser.parse_args()
    try:
        with front_ends() as urls:
            report_machine()
            small = measure(Workload("small JSON", small_json(), 8), urls, options.rounds, options.seconds)
            large = measure(Workload("600 KB tensor", tensor(), 8), urls, options.rounds, options.seconds)
            alone = measure(Workload("small JSON", small_json(), 1), urls, options.rounds, options.seconds)
    except (ContainerError, InvocationError, LoadError) as error:
        sys.exit(f"bench-front-door: {error}")
    print(json.dumps(summary(small, large, alone)))


@contextmanager
def front_ends() -> Iterator[FrontEnds]:
    """Serve the identity model behind both front ends at the same time."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        base_dir = Path(directory)
        (base_dir / "model").symlink_to(REPOSITORY, target_is_directory=True)
        with (
            running_serve(base_dir) as gateway,
            running_serve(base_dir, {"SAGEMAKER_TRITON_FRONTEND": "native"}) as native,
        ):
            yield FrontEnds(f"{gateway.url}/invocations", f"{native.url}/invocations")


def small_json() -> Payload:
    """Return KServe JSON with four numbers."""
    tensors = [{"name": "input", "shape": [1, 4], "datatype": "FP32", "data": [0.1, 0.2, 0.3, 0.4]}]
    return Payload(json.dumps({"inputs": tensors}).encode(), sagemaker.JSON)


def tensor() -> Payload:
    """Return binary+json with a tensor of the size of an image for a classifier, which asks for binary outputs."""
    tensors = InferInput("input", [1, IMAGE_VALUES], "FP32")
    tensors.set_data_from_numpy(image_values())
    outputs = [InferRequestedOutput("output", binary_data=True)]
    body, header_size = InferenceServerClient.generate_request_body([tensors], outputs=outputs)
    return Payload(body, f"{sagemaker.BINARY_JSON_PREFIX}{header_size}")


def image_values() -> NDArray[np.float32]:
    """Return [1, 150528] numbers that do not repeat."""
    return np.random.default_rng(0).random((1, IMAGE_VALUES), dtype=np.float32)


def measure(workload: Workload, urls: FrontEnds, rounds: int, seconds: int) -> list[Pair]:
    """Load the front ends in turn, and print each round."""
    print(f"\n{workload.name}, {workload.connections} connection(s): gateway / native", flush=True)
    for url in (urls.gateway, urls.native):
        check(url, workload.payload)
        _load(url, workload, WARM_UP_SECONDS)
    pairs = [_round(number, workload, urls, seconds) for number in range(rounds)]
    ratios = sorted(pair.throughput_ratio for pair in pairs)
    print(f"  ratio: median {statistics.median(ratios):.3f}, from {ratios[0]:.3f} to {ratios[-1]:.3f}", flush=True)
    return pairs


def check(url: str, payload: Payload) -> None:
    """Make sure that the model returns what it is sent, before it is sent a million requests.

    Raises:
        InvocationError: the status was not 200.
        LoadError: it returned something else.
    """
    body = send("POST", payload.request(url)).body
    if payload.content_type.startswith(sagemaker.BINARY_JSON_PREFIX):
        same = body.endswith(image_values().tobytes())
    else:
        same = np.allclose(json.loads(body)["outputs"][0]["data"], json.loads(payload.body)["inputs"][0]["data"])
    if not same:
        raise LoadError(f"{url} did not return the tensor that it was sent")


def _round(number: int, workload: Workload, urls: FrontEnds, seconds: int) -> Pair:
    """Load both for a while; they take turns in coming first."""
    if number % 2 == 0:
        gateway, native = _load(urls.gateway, workload, seconds), _load(urls.native, workload, seconds)
    else:
        native, gateway = _load(urls.native, workload, seconds), _load(urls.gateway, workload, seconds)
    pair = Pair(gateway, native)
    print(describe(pair), flush=True)
    return pair


def _load(url: str, workload: Workload, seconds: int) -> Throughput:
    return closed_loop.run(workload.payload.request(url), connections=workload.connections, seconds=seconds)


def describe(pair: Pair) -> str:
    """Return one round as a line of text."""
    gateway, native = pair.gateway, pair.native
    return (
        f"  {gateway.per_second:8,.0f} / {native.per_second:8,.0f} a second = {pair.throughput_ratio:.3f}"
        f"   p50 {gateway.p50_ms:.3f} / {native.p50_ms:.3f} ms"
        f"   p99 {gateway.p99_ms:.3f} / {native.p99_ms:.3f} ms"
    )


def report_machine() -> None:
    """Print what the figures depend on."""
    processors, load = os.cpu_count() or 1, os.getloadavg()[0]
    print(f"{processors} processors, load average of the last minute {load:.1f} before the first round")
    if load > processors:
        print("this machine is busy: the rounds will differ widely. Run more of them (--rounds).")


def summary(small: list[Pair], large: list[Pair], alone: list[Pair]) -> dict[str, float]:
    """Return the median over the rounds of each figure."""
    return {
        "small_json_throughput_ratio": round(statistics.median(pair.throughput_ratio for pair in small), 3),
        "tensor_600kb_throughput_ratio": round(statistics.median(pair.throughput_ratio for pair in large), 3),
        "p50_added_ms": round(statistics.median(pair.p50_added_ms for pair in alone), 3),
    }


if __name__ == "__main__":
    main()
