"""Create the version directory of the ensemble: Triton requires one, and git keeps no empty directories."""

from __future__ import annotations

from pathlib import Path

VERSION = Path(__file__).parent / "1"


def main() -> None:
    """Create `1/`."""
    VERSION.mkdir(exist_ok=True)
    print("  image_classification: an ensemble: created its empty version directory")


if __name__ == "__main__":
    main()
