"""What a load took."""

from __future__ import annotations

from serve.tenants.values import Usage


def test_what_was_taken_between_two_readings() -> None:
    """0 means that a reading failed, so the difference is unknown."""
    assert Usage(700, -300).since(Usage(400, -900)) == Usage(300, 600)
    assert Usage(700, 0).since(Usage(0, -900)) == Usage(0, 0)
    assert Usage(400, -900).since(Usage(700, -300)) == Usage(0, 0)
