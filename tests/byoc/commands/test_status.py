"""`byoc status`."""

from __future__ import annotations

from byoc.aws import Aws
from tests.byoc.conftest import BUCKET, Byoc


def test_status(endpoint: Aws, byoc: Byoc) -> None:
    shown = byoc.ok("status", "classifier").out
    assert "classifier  InService" in shown
    assert "AllTraffic  1/1 ml.m5.large  weight 1" in shown
    assert f"s3://{BUCKET}/triton-byoc/classifier/" in shown
    found = byoc.ok("status", "classifier", "--json").json
    assert (found["status"], found["variants"][0]["image"][:12]) == ("InService", "123456789012")
    assert found["variants"][0]["scaling"] is None
