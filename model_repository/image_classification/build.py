"""Create the version directory of the ensemble. Triton wants one although there is nothing to put in it, and git keeps
no empty directories.
"""

from __future__ import annotations

from pathlib import Path

VERSION = Path(__file__).parent / "1"


def main() -> None:
    """Create `1/` and say so."""
    VERSION.mkdir(exist_ok=True)
    print("  image_classification: an ensemble, nothing to build but its empty version directory")


if __name__ == "__main__":
    main()
