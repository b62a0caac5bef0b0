"""Measure what unloading frees: resident memory before and after tenants are loaded and unloaded over and over.

Each allocator gets its own multi-model endpoint. The memory after the first cycles, when every library is loaded, is
compared with the memory at the end; no tenant is loaded at either time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.archives import CLASSIFIER, write_classifier, write_identity
from bench.endpoint import Endpoint, running_endpoint
from bench.questions import ask_for_numbers, ask_for_photograph
from byoc.container.processes import child, model_processes
from byoc.errors import ContainerError, InvocationError

AT_ONCE = 8
WARM_UP_CYCLES = 16
MIB = 1024 * 1024
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
ALLOCATORS: Mapping[str, Mapping[str, str]] = {
    "glibc": {},
    "glibc, 2 arenas": {"MALLOC_ARENA_MAX": "2"},
    "jemalloc": {"LD_PRELOAD": str(LIBRARIES / "libjemalloc.so.2")},
    "tcmalloc": {"LD_PRELOAD": str(LIBRARIES / "libtcmalloc_minimal.so.4")},
}


@dataclass(frozen=True)
class Kind:
    """A kind of tenant: how to write its archive, and how to invoke it."""

    write: Callable[[Path, str], None]
    ask: Callable[[Endpoint, str], None]


KINDS = {
    "Python": Kind(write_identity, ask_for_numbers),
    "ensemble": Kind(
        lambda models_dir, name: write_classifier(models_dir, name, with_shared=False), ask_for_photograph
    ),
}


@dataclass(frozen=True)
class Resident:
    """Resident memory in MiB: of tritonserver, of the processes of shared models, of the app."""

    tritonserver: float
    shared: float
    app: float


def main() -> None:
    """Measure and print a line for each allocator."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--allocator", choices=ALLOCATORS, action="append", help="default: all")
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: all")
    parser.add_argument("--cycles", type=int, default=200, help="loads and unloads (default: %(default)s)")
    options = parser.parse_args()
    try:
        for kind in options.kind or KINDS:
            for allocator in options.allocator or ALLOCATORS:
                before, after = measure(KINDS[kind], ALLOCATORS[allocator], options.cycles)
                print(f"{kind:9} {allocator:16} {options.cycles} cycles, MiB: {_change(before, after)}", flush=True)
    except (ContainerError, InvocationError, OSError) as error:
        sys.exit(f"unload-memory: {error}")


def measure(kind: Kind, environment: Mapping[str, str], cycles: int) -> tuple[Resident, Resident]:
    """Return resident memory after the first cycles, and after all of them.

    Raises:
        FileNotFoundError: the allocator is not installed.
    """
    if (library := environment.get("LD_PRELOAD")) and not Path(library).exists():
        raise FileNotFoundError(f"{library} is missing: apt-get install libjemalloc2 libtcmalloc-minimal4")
    tenants = [f"tenant-{number}" for number in range(AT_ONCE)]
    with running_endpoint("gateway", CLASSIFIER, environment) as endpoint, ThreadPoolExecutor(AT_ONCE) as threads:
        for tenant in tenants:
            kind.write(endpoint.models_dir, tenant)

        def run(count: int) -> Resident:
            for _ in range(0, count, AT_ONCE):
                list(threads.map(lambda tenant: _cycle(endpoint, kind, tenant), tenants))
            return resident(endpoint)

        return run(WARM_UP_CYCLES), run(cycles)


def resident(endpoint: Endpoint) -> Resident:
    """Return the resident memory now."""
    serve = endpoint.serve
    return Resident(
        child(serve, "tritonserver").memory_info().rss / MIB,
        sum(process.memory_info().rss for process in model_processes(serve)) / MIB,
        child(serve, "app").memory_info().rss / MIB,
    )


def _cycle(endpoint: Endpoint, kind: Kind, tenant: str) -> None:
    endpoint.load(tenant)
    kind.ask(endpoint, tenant)
    endpoint.client.unload(tenant)


def _change(before: Resident, after: Resident) -> str:
    return (
        f"tritonserver {before.tritonserver:.1f} → {after.tritonserver:.1f}, "
        f"shared models {before.shared:.1f} → {after.shared:.1f}, app {before.app:.1f} → {after.app:.1f}"
    )


if __name__ == "__main__":
    main()
