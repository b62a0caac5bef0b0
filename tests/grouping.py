"""Which tests run in one worker of pytest-xdist, in which order, and which need a server: nothing is marked by hand.

Tests of a group run in one worker, one after the other, so that what they share is set up once. Every other test goes
to the worker that is free.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType

import pytest

__all__ = ["group_of", "length_of", "starts_server"]

TESTS = Path(__file__).parent

FRONT_END = re.compile(r"(?:\b|_)(app|gateway|native)\b")

# A test needs a server if it, a fixture of it, or a function that these call, uses one of these names …
STARTERS = {
    "free_ports",
    "getfixturevalue",  # only servers are chosen in this way
    "reserved_environment",
    "reserved_ports",
    "running_container",
    "running_endpoint",
    "running_serve",
    "running_tritonserver",
    "start_container",
    "start_serve",
}
# … or if it is of a directory whose tests run programs that start one.
PROGRAMS = ("bench/", "docker/", "examples/")

# What starts last should be short: these come first, in this order, and the others after them.
LONGEST = ("docker", "serve/multi_model", "tenants", "serve/test_end.py", "serve/triton", "serve/supervisor")


def group_of(item: pytest.Function) -> str | None:
    """Return the group of a test; None: it can run in any worker."""
    file = _file(item)
    if item.get_closest_marker("docker") or file.startswith("docker/"):
        return "docker"  # there is one engine, and the image is built once
    if any(fixture.scope == "module" for fixture in _fixtures(item)):
        return file
    shared = [fixture.func for fixture in _fixtures(item) if _is_shared_server(fixture)]
    if not shared:
        return None
    directory = Path(*max(function.__module__ for function in shared).split(".")[1:-1])
    return f"{directory} {_front_end(item)}".strip()


def length_of(item: pytest.Function) -> int:
    """Return the place of a test in the order: the longest groups have the lowest."""
    file = _file(item)
    places = [place for place, start in enumerate(LONGEST) if (group_of(item) or file).startswith(start)]
    return min(places, default=len(LONGEST))


def starts_server(item: pytest.Function) -> bool:
    """Tell whether a test needs tritonserver, `serve`, HAProxy or a Docker engine."""
    if item.get_closest_marker("docker") or _file(item).startswith(PROGRAMS):
        return True
    functions = [item.function, *(fixture.func for fixture in _fixtures(item))]
    return any(_names(function) & STARTERS for function in functions)


def _file(item: pytest.Function) -> str:
    """Return the file of a test below tests/."""
    return os.path.relpath(item.path, TESTS)


def _fixtures(item: pytest.Function) -> list[pytest.FixtureDef[object]]:
    """Return the fixtures that a test uses, as far as they are known before it runs."""
    return [definitions[-1] for definitions in item._fixtureinfo.name2fixturedefs.values()]


def _is_shared_server(fixture: pytest.FixtureDef[object]) -> bool:
    """Tell whether a fixture is a server for the whole session, or one that chooses such a server while it runs."""
    names = _names(fixture.func)
    return bool(names & STARTERS) and (fixture.scope == "session" or "getfixturevalue" in names)


def _front_end(item: pytest.Function) -> str:
    """Return the front end that the parameters of a test tell, or a fixture of it."""
    for name in (item.name.partition("[")[2], *sorted(item.fixturenames)):
        if found := FRONT_END.search(name):
            return found[1]
    return ""


@cache
def _names(function: Callable[..., object]) -> frozenset[str]:
    """Return every name that a function uses, and those that functions of its module and of tests/ among them use."""
    return frozenset(_reached(function, set()))


def _reached(function: object, seen: set[object]) -> Iterator[str]:
    function = getattr(function, "__wrapped__", function)
    if not isinstance(function, FunctionType) or function in seen:
        return
    seen.add(function)
    names = set(_used(function.__code__))
    yield from names
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    for target in [*(function.__globals__.get(name) for name in names), *defaults]:
        if getattr(target, "__module__", "").startswith(("tests.", function.__module__)):
            yield from _reached(target, seen)


def _used(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _used(constant)
