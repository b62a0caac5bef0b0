"""Thousands of operations from many clients at once, each answer checked against the contract.

A tenant's state is what the operations on it that have ended say, and what those under way may have made of it. Each
operation therefore notes when it began and when it ended; an answer is right if some order of the operations that
overlap with it, each between its own begin and end, explains it.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import psutil

from tests.serve.client import Response
from tests.serve.multi_model.archives import Model, ensemble, word, write_archive
from tests.serve.multi_model.endpoint import Endpoint, await_true

SECONDS = 60.0
CLIENTS = 12
TENANTS = 10
WITH_PROCESSES = 2  # tenants that have a Python model of their own; they take seconds to load
OPERATIONS = {"invoke": 60, "get": 15, "load": 12, "unload": 10, "list": 3}
ALLOWED = {
    "load": {200, 409},
    "unload": {200, 404},
    "get": {200, 404},
    "invoke": {200, 404},
}


@dataclass(frozen=True)
class Operation:
    """A request for one tenant, or a list of all, and its answer. Times are in seconds."""

    kind: str
    status: int
    began: float
    ended: float


@dataclass
class History:
    """What happened to one tenant."""

    name: str
    operations: list[Operation] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, operation: Operation) -> None:
        with self.lock:
            self.operations.append(operation)


def wrong(operations: list[Operation]) -> list[str]:
    """Return the answers of a history that no order of events explains.

    Loads and unloads that were answered with 200 must alternate: between the end of one load and the begin of the next
    an unload must have been under way, and the other way round. Every other answer says `loaded` (200, 409) or `not
    loaded` (404): some moment between its begin and its end must have been like that.
    """
    changes = sorted(
        (each for each in operations if each.status == 200 and each.kind in ("load", "unload")),
        key=lambda each: each.ended,
    )
    faults = [f"{each} is not in the contract" for each in operations if each.status not in ALLOWED[each.kind]]
    for kind, other in (("load", "unload"), ("unload", "load")):
        same = [each for each in changes if each.kind == kind]
        for first, second in pairwise(same):
            if not any(
                each.kind == other and each.ended > first.began and each.began < second.ended for each in changes
            ):
                faults.append(f"{first} and {second} without {other} between them")
    for each in operations:
        if each not in changes and not explained(each, changes):
            faults.append(f"{each} is explained by nothing before it or beside it")
    return faults


def explained(operation: Operation, changes: list[Operation]) -> bool:
    says_loaded = operation.status in (200, 409)
    if any(change.began < operation.ended and change.ended > operation.began for change in changes):
        return True  # a change was under way: both are right
    before = [change for change in changes if change.ended <= operation.began]
    if not before:
        return not says_loaded
    last = before[-1]
    rivals = [change for change in before if change.ended > last.began and change is not last]
    return (last.kind == "load") == says_loaded or any((change.kind == "load") == says_loaded for change in rivals)


def test_the_check_finds_faults() -> None:
    """Tests the checker itself: it rejects histories that must not happen."""

    def history(*operations: tuple[str, int]) -> list[Operation]:
        return [Operation(kind, status, 2.0 * at, 2.0 * at + 1) for at, (kind, status) in enumerate(operations)]

    assert (
        wrong(history(("get", 404), ("load", 200), ("load", 409), ("get", 200), ("unload", 200), ("invoke", 404))) == []
    )
    for fault in (
        history(("get", 200)),
        history(("load", 409)),
        history(("unload", 200), ("load", 200), ("unload", 404)),
        history(("load", 200), ("load", 200)),
        history(("load", 200), ("invoke", 404)),
        history(("load", 200), ("unload", 200), ("invoke", 200)),
        history(("load", 200), ("unload", 200), ("unload", 200)),
        history(("load", 500)),
        history(("invoke", 503)),
    ):
        assert wrong(fault), fault


class Client:
    """Does random operations until the time is over."""

    def __init__(self, endpoint: Endpoint, histories: dict[str, History], seed: int, deadline: float) -> None:
        self._endpoint = endpoint
        self._histories = histories
        self._random = random.Random(seed)
        self._deadline = deadline

    def run(self) -> Counter[str]:
        done: Counter[str] = Counter()
        while time.monotonic() < self._deadline:
            [kind] = self._random.choices(list(OPERATIONS), list(OPERATIONS.values()))
            getattr(self, kind)(self._random.choice(list(self._histories)))
            done[kind] += 1
        return done

    def load(self, name: str) -> None:
        self._note(name, "load", lambda: self._endpoint.load(name, self._endpoint.models_dir / name / "model"))

    def unload(self, name: str) -> None:
        self._note(name, "unload", lambda: self._endpoint.unload(name))

    def get(self, name: str) -> None:
        self._note(name, "get", lambda: self._endpoint.get(name))

    def invoke(self, name: str) -> None:
        text = str(self._random.random())
        answer = self._note(name, "invoke", lambda: self._endpoint.invoke(name, text))
        if answer.status == 200:
            assert answer.json()["outputs"][0]["data"] == [said(name, text)]

    def list(self, _: str) -> None:
        """Record a list as one observation of every tenant."""
        began = time.monotonic()
        listed = self._endpoint.call("GET", "/models").json()["models"]
        ended = time.monotonic()
        names = {model["modelName"] for model in listed}
        for name, history in self._histories.items():
            history.add(Operation("get", 200 if name in names else 404, began, ended))

    def _note(self, name: str, kind: str, call: Callable[[], Response]) -> Response:
        began = time.monotonic()
        answer = call()
        self._histories[name].add(Operation(kind, answer.status, began, time.monotonic()))
        return answer


def said(name: str, text: str) -> str:
    return f"{text} {name}" if name.startswith("own") else text


def models_of(name: str) -> dict[str, Model]:
    if name.startswith("own"):
        return {"pipeline": ensemble("probe", "part"), "part": word(name)}
    return {"pipeline": ensemble("probe", "inner"), "inner": ensemble("probe")}


@dataclass(frozen=True)
class Held:
    """Resources held by an endpoint's processes."""

    files: dict[str, int]
    ports: set[tuple[str, int]]
    processes: set[str]
    regions: set[str]

    @classmethod
    def by(cls, endpoint: Endpoint) -> Held:
        children = psutil.Process(endpoint.serve.process.pid).children()
        return cls(
            files={child.name(): child.num_fds() for child in children},
            ports={
                (child.name(), connection.laddr.port)
                for child in children
                for connection in child.net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            },
            processes=set(endpoint.stubs()),
            regions=shared_memory(endpoint),
        )


def shared_memory(endpoint: Endpoint) -> set[str]:
    """Return the shared memory that tritonserver has mapped."""
    maps = Path("/proc", str(endpoint.child("bin/tritonserver").pid), "maps").read_text()
    return {line.split(maxsplit=5)[-1] for line in maps.splitlines() if "/dev/shm/" in line}


def test_random_operations(gateway: Endpoint) -> None:
    seed = int(os.environ.get("RANDOM_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
    print(f"RANDOM_SEED={seed} repeats the choices of this run")
    names = [f"own-{number}" if number < WITH_PROCESSES else f"shared-{number}" for number in range(TENANTS)]
    histories = {name: History(name) for name in names}
    for name in names:
        write_archive(gateway.models_dir / name / "model", models_of(name))
        assert gateway.load(name, gateway.models_dir / name / "model").status == 200
        assert gateway.unload(name).status == 200
    before = Held.by(gateway)

    deadline = time.monotonic() + SECONDS
    with ThreadPoolExecutor(CLIENTS) as threads:
        clients = [Client(gateway, histories, seed + number, deadline) for number in range(CLIENTS)]
        done = sum(threads.map(Client.run, clients), Counter[str]())
    print(dict(done))

    assert {name: faults for name, history in histories.items() if (faults := wrong(history.operations))} == {}
    assert sum(done.values()) >= 2000
    assert min(done[kind] for kind in OPERATIONS) > 20
    for name in gateway.names():
        assert gateway.unload(name).status == 200
    assert gateway.left() == {}
    await_true(lambda: released(before, Held.by(gateway)), f"as much is held as at first: {before}")


def released(before: Held, after: Held) -> bool:
    """Tell whether no more is held than before, except for keep-alive connections."""
    idle = 2 * CLIENTS
    return (
        all(after.files[name] <= count + idle for name, count in before.files.items())
        and after.ports == before.ports
        and after.processes == before.processes
        and after.regions == before.regions
    )


def test_nothing_is_left_open_by_loads(gateway: Endpoint) -> None:
    """The number of open files does not grow with the number of loads."""
    url = write_archive(gateway.models_dir / "again" / "model", {"pipeline": ensemble("probe")})
    counts = []
    for _ in range(3):
        for _ in range(40):
            assert gateway.load("again", url).status == 200
            assert gateway.said("again") == "hello"
            assert gateway.unload("again").status == 200
        counts.append(Held.by(gateway).files)
    assert all(counts[-1][name] <= count + 3 for name, count in counts[0].items()), counts
