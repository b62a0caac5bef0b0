"""Measure what loading and unloading tenants costs: the gateway against Triton's SageMaker port (`native`), in one run.

- The latency of a warm tenant at a steady rate, alone and while others are loaded and unloaded over and over.
- The time to load eight tenants, and from a load request to the first response.
- The memory of twenty image classifiers: with pre- and post-processing of their own, as the native front end needs,
  and with that of the image, which the gateway's tenants share.

The last line of the output is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.archives import CLASSIFIER, write_classifier, write_identity
from bench.endpoint import Endpoint, running_endpoint
from bench.questions import NUMBERS, ask_for_numbers, ask_for_photograph
from byoc.container.processes import memory_bytes
from byoc.errors import ContainerError, InvocationError, LoadError
from byoc.load import open_loop
from byoc.load.latencies import Timing, percentiles

FRONT_ENDS = ("gateway", "native")
CHURNING = ("churn-1", "churn-2", "churn-3")
TOGETHER = 8
TENANTS = 20
LOAD_ROUNDS = 2
FIRST_RESPONSES = 3
MIB = 1024 * 1024


@dataclass
class Warm:
    """The timings of a warm tenant behind one front end, all rounds."""

    alone: list[Timing] = field(default_factory=list)
    churning: list[Timing] = field(default_factory=list)
    loads: int = 0


def main() -> None:
    """Measure, print, and exit with status 1 if a request failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4, help="rounds of steady load (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=8, help="seconds of each quarter of a round (default: %(default)s)"
    )
    parser.add_argument("--rate", type=float, default=100, help="requests a second (default: %(default)s)")
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} processors, load average of the last minute {os.getloadavg()[0]:.1f} before the first round"
    )
    try:
        warm = measure_warm(options.rounds, options.seconds, options.rate)
        loads = measure_loads(LOAD_ROUNDS)
        memory = {front_end: memory_per_tenant(front_end) for front_end in FRONT_ENDS}
    except (ContainerError, InvocationError, LoadError) as error:
        sys.exit(f"bench-multi-model: {error}")
    print(json.dumps(result(warm, loads, memory)))


def result(warm: dict[str, Warm], loads: dict[str, float], memory: dict[str, float]) -> dict[str, float]:
    """Return the ratios that the benchmark is about."""
    gateway, native = (percentiles(warm[name].churning).p999 for name in FRONT_ENDS)
    return {
        "warm_p999_churn_over_steady": round(gateway / percentiles(warm["gateway"].alone).p999, 2),
        "warm_p999_native_over_gateway": round(native / gateway, 1),
        "load_8_speedup": round(loads["native, one by one"] / loads["gateway, at once"], 2),
        "memory_per_tenant_ratio": round(memory["gateway"] / memory["native"], 3),
    }


def measure_warm(rounds: int, seconds: float, rate: float) -> dict[str, Warm]:
    """Measure a warm tenant behind each front end in turn."""
    print(f"\nA warm tenant at {rate:g} requests a second, alone and while {len(CHURNING)} others come and go")
    warm = {name: Warm() for name in FRONT_ENDS}
    with (
        running_endpoint("gateway") as gateway,
        running_endpoint("native") as native,
        open_loop.client_process() as client,
    ):
        for endpoint in (gateway, native):
            for tenant in ("warm", *CHURNING):
                write_identity(endpoint.models_dir, tenant)
            endpoint.load("warm")
            ask_for_numbers(endpoint, "warm")
        for _ in range(rounds):
            for name, endpoint in (("gateway", gateway), ("native", native)):
                _warm_round(endpoint, client, warm[name], seconds, rate)
    for name in FRONT_ENDS:
        print(f"  {name}, alone:    {percentiles(warm[name].alone)}")
        print(f"  {name}, churning: {percentiles(warm[name].churning)}; {warm[name].loads} loads")
    return warm


def _warm_round(endpoint: Endpoint, client: ProcessPoolExecutor, warm: Warm, seconds: float, rate: float) -> None:
    request = endpoint.client.invocation("warm", NUMBERS)
    warm.alone += client.submit(open_loop.run, request, rate, seconds).result()
    with churning(endpoint) as loads:
        warm.churning += client.submit(open_loop.run, request, rate, seconds).result()
    warm.loads += len(loads)


@contextmanager
def churning(endpoint: Endpoint) -> Iterator[list[float]]:
    """Load, invoke and unload tenants over and over, each in its own thread; yields the seconds of each load."""
    stop = threading.Event()
    loads: list[float] = []

    def churn(tenant: str) -> None:
        while not stop.is_set():
            loads.append(endpoint.load(tenant))
            ask_for_numbers(endpoint, tenant)
            endpoint.client.unload(tenant)

    with ThreadPoolExecutor(len(CHURNING)) as threads:
        running = [threads.submit(churn, tenant) for tenant in CHURNING]
        try:
            yield loads
        finally:
            stop.set()
        for each in running:
            each.result()


def measure_loads(rounds: int) -> dict[str, float]:
    """Measure the seconds to load eight tenants, and from a load request to the first response. Medians."""
    ways: dict[str, tuple[str, Callable[[Endpoint, Sequence[str]], None]]] = {
        "gateway, at once": ("gateway", load_at_once),
        "native, at once": ("native", load_at_once),
        "native, one by one": ("native", load_one_by_one),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    first: dict[str, list[float]] = {name: [] for name in FRONT_ENDS}
    for _ in range(rounds):
        for way, (front_end, load) in ways.items():
            with running_endpoint(front_end) as endpoint:
                if load is load_at_once:
                    first[front_end] += seconds_to_first_response(endpoint)
                seconds[way].append(_seconds_to_load(endpoint, load))
    print(f"\nLoading {TOGETHER} tenants: seconds until all have responded")
    for way, values in seconds.items():
        print(f"  {way}: {statistics.median(values):.2f}   ({', '.join(f'{value:.2f}' for value in values)})")
    print("From the load request to the first response: seconds")
    for front_end, values in first.items():
        print(f"  {front_end}: {statistics.median(values):.2f}   (from {min(values):.2f} to {max(values):.2f})")
    return {way: statistics.median(values) for way, values in seconds.items()}


def _seconds_to_load(endpoint: Endpoint, load: Callable[[Endpoint, Sequence[str]], None]) -> float:
    tenants = [f"tenant-{number}" for number in range(TOGETHER)]
    for tenant in tenants:
        write_identity(endpoint.models_dir, tenant)
    started = time.monotonic()
    load(endpoint, tenants)
    for tenant in tenants:
        ask_for_numbers(endpoint, tenant)
    return time.monotonic() - started


def load_at_once(endpoint: Endpoint, tenants: Sequence[str]) -> None:
    """Load all tenants at the same time."""
    with ThreadPoolExecutor(len(tenants)) as threads:
        list(threads.map(endpoint.load, tenants))


def load_one_by_one(endpoint: Endpoint, tenants: Sequence[str]) -> None:
    """Load tenants one by one."""
    for tenant in tenants:
        endpoint.load(tenant)


def seconds_to_first_response(endpoint: Endpoint) -> list[float]:
    """Load, invoke and unload a tenant a few times."""
    write_identity(endpoint.models_dir, "first")
    seconds = []
    for _ in range(FIRST_RESPONSES):
        started = time.monotonic()
        endpoint.load("first")
        ask_for_numbers(endpoint, "first")
        seconds.append(time.monotonic() - started)
        endpoint.client.unload("first")
    return seconds


def memory_per_tenant(front_end: str) -> float:
    """Load and invoke image classifiers; print and return the memory of each after the first, in bytes."""
    shared_models = CLASSIFIER if front_end == "gateway" else None
    tenants = [f"tenant-{number}" for number in range(TENANTS)]
    with running_endpoint(front_end, shared_models) as endpoint:
        for tenant in tenants:
            write_classifier(endpoint.models_dir, tenant, with_shared=shared_models is None)
        none = memory_bytes(endpoint.serve)
        one = _memory_with(endpoint, tenants[:1])
        all_of_them = _memory_with(endpoint, tenants[1:])
    per_tenant = (all_of_them - one) / (TENANTS - 1)
    own = "shared" if shared_models else "their own"
    print(f"\nMemory with {front_end}, image classifiers with pre- and post-processing of {own}: PSS of all processes")
    print(f"  no tenant {none / MIB:.0f}, 1 tenant {one / MIB:.0f}, {TENANTS} tenants {all_of_them / MIB:.0f} MiB;")
    print(f"  each tenant after the first: {per_tenant / MIB:.1f} MiB", flush=True)
    return per_tenant


def _memory_with(endpoint: Endpoint, tenants: Sequence[str]) -> int:
    load_at_once(endpoint, tenants)
    for tenant in tenants:
        ask_for_photograph(endpoint, tenant)
    return memory_bytes(endpoint.serve)


if __name__ == "__main__":
    main()
