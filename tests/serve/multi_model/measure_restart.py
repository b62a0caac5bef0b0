"""Measures what docs/multi-model.md says of restarts: `python -m tests.serve.multi_model.measure_restart`.

20 tenants, 10 with a small Python model of their own and 10 ensembles on a shared model: how long until all of them
answer again, after tritonserver was killed, and after the whole container was, with SageMaker loading one by one.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from tests.serve.multi_model.archives import Model, ensemble, word, write_archive
from tests.serve.multi_model.conftest import running_endpoint
from tests.serve.multi_model.endpoint import Endpoint, await_true

COUNT = 20


def models_of(number: int) -> dict[str, Model]:
    if number % 2:
        return {"pipeline": ensemble("probe")}
    return {"pipeline": ensemble("probe", "part"), "part": word(str(number))}


def load_one_by_one(endpoint: Endpoint) -> None:
    for number in range(COUNT):
        url = write_archive(endpoint.models_dir / str(number) / "model", models_of(number))
        assert endpoint.load(str(number), url, seconds=300).status == 200
        endpoint.said(str(number))


def seconds_until_reloaded(endpoint: Endpoint) -> float:
    started = time.monotonic()
    endpoint.child("bin/tritonserver").kill()
    await_true(lambda: endpoint.serve.ping() == 503, "/ping tells of it")
    endpoint.serve.await_ready(300)
    for number in range(COUNT):
        endpoint.said(str(number))
    return time.monotonic() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        started = time.monotonic()
        with running_endpoint(Path(directory)) as endpoint:
            load_one_by_one(endpoint)
            anew = time.monotonic() - started
            again = seconds_until_reloaded(endpoint)
    print(json.dumps({"tenants": COUNT, "reloaded_seconds": round(again, 1), "container_anew_seconds": round(anew, 1)}))


if __name__ == "__main__":
    main()
