"""TCP ports that programs on one machine reserve at the same time."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import closing
from socket import create_server

import pytest

from byoc.container import ports
from byoc.container.ports import is_free, reserved_ports
from byoc.errors import ContainerError

RESERVE = """
import random, sys
from byoc.container.ports import reserved_ports
random.seed(7)
with reserved_ports() as block:
    print(block[0], flush=True)
    sys.stdin.read()
"""


def test_ten_free_ports_in_a_row() -> None:
    with reserved_ports() as block:
        assert len(block) == 10
        assert all(map(is_free, block))


def test_two_programs_never_get_the_same() -> None:
    """1. Another program reserves ports. 2. With the same luck we get others. 3. It is killed: they are free again."""
    with subprocess.Popen([sys.executable, "-c", RESERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout
            theirs = int(other.stdout.readline())
            random.seed(7)
            with reserved_ports() as block:
                assert block[0] != theirs
        finally:
            other.kill()
    random.seed(7)
    with reserved_ports() as block:
        assert block[0] == theirs


def test_a_block_with_a_port_in_use_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with reserved_ports() as block:
        first = block[0]
    monkeypatch.setattr(ports, "FIRST", first)
    monkeypatch.setattr(ports, "LAST", first + 9)
    with closing(create_server(("", first + 3))):
        assert not is_free(first + 3)
        with pytest.raises(ContainerError, match=f"no 10 consecutive TCP ports are free between {first}"):
            reserved_ports().__enter__()
