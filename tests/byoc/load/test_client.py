"""The client of a multi-model endpoint, against a real one of each kind."""

from __future__ import annotations

import pytest

from bench.archives import write_identity
from bench.endpoint import running_endpoint
from bench.questions import NUMBERS, ask_for_numbers
from byoc.container.processes import memory_bytes
from byoc.errors import InvocationError
from byoc.load import open_loop
from byoc.load.client import MultiModelClient
from tests.triton import free_ports


@pytest.mark.parametrize("front_end", ["gateway", "native"])
def test_load_invoke_unload(front_end: str) -> None:
    with running_endpoint(front_end) as endpoint:
        write_identity(endpoint.models_dir, "one")
        assert endpoint.load("one") > 0
        ask_for_numbers(endpoint, "one")
        assert len(open_loop.run(endpoint.client.invocation("one", NUMBERS), 20, 0.5)) == 10
        with pytest.raises(InvocationError, match=r"POST http://127.0.0.1:\d+/models returned 409: "):
            endpoint.load("one")
        assert memory_bytes(endpoint.serve) > 50 * 1024**2
        endpoint.client.unload("one")


def test_nobody_listening_is_an_error() -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(InvocationError, match=f"DELETE {url}/models/a%2Fb: ConnectionRefusedError"):
        MultiModelClient(url).unload("a/b")
