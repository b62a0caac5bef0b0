"""An endpoint in the emulated account."""

from __future__ import annotations

from pathlib import Path

import pytest

from byoc.aws import Aws
from tests.byoc.conftest import Byoc, deploy, write_endpoint


@pytest.fixture
def endpoint(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> Aws:
    """An account with an endpoint."""
    assert deploy(byoc, write_endpoint(tmp_path)).status == 0
    return account
