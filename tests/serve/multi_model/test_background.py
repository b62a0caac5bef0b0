"""Work beside the requests that fails: the app ends and says why, and the supervisor starts it anew."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.serve.multi_model.archives import ensemble, write_archive
from tests.serve.multi_model.conftest import running_endpoint
from tests.serve.multi_model.endpoint import await_true


@pytest.mark.parametrize("haproxy", [True, False], ids=["gateway", "app"])
def test_a_recovery_that_fails(tmp_path: Path, haproxy: bool) -> None:
    """1. A record is damaged. 2. The app recovers, as after a restart of tritonserver. 3. The record is repaired."""
    with running_endpoint(tmp_path, haproxy=haproxy) as endpoint:
        url = write_archive(endpoint.models_dir / "tenant" / "model", {"pipeline": ensemble("probe")})
        assert endpoint.load("tenant", url).status == 200
        [record] = endpoint.record_files()
        content = record.read_text()
        app = endpoint.child("serve.app")

        record.write_text(content[:10])
        app.send_signal(signal.SIGHUP)
        await_true(lambda: "app exited with status 1" in endpoint.serve.output(), "the app ends")
        assert not app.is_running()
        record.write_text(content)

        endpoint.serve.await_ready()
        assert endpoint.said("tenant") == "hello"
        assert f"the record {record} of a loaded tenant is damaged" in endpoint.serve.output()
        assert endpoint.child("serve.app").pid != app.pid
