"""Write two tenants: each sorts photographs into its own categories, with image models that all tenants share.

Usage: python examples/picture_tenants/make_tenants.py [DIRECTORY]
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent

# Tenant → category → words. A label belongs to a category if it contains one of its words.
TENANTS = {
    "animal-shelter": {"cat": ("cat",), "dog": ("terrier", "retriever", "spaniel", "hound", "collie")},
    "restaurant": {"drink": ("espresso", "cup", "wine"), "food": ("pizza", "burger", "bagel", "soup")},
}


def write_tenant(directory: Path, categories: dict[str, tuple[str, ...]]) -> None:
    """Write one tenant: the ensemble, and the model with its categories."""
    for model in ("pipeline", "categories"):
        (directory / model / "1").mkdir(parents=True)
        shutil.copy(HERE / f"{model}.pbtxt", directory / model / "config.pbtxt")
    shutil.copy(HERE / "categories.py", directory / "categories" / "1" / "model.py")
    lines = [f"{category}: {', '.join(words)}\n" for category, words in categories.items()]
    (directory / "categories" / "categories.txt").write_text("".join(lines), encoding="utf-8")


def main(directory: Path) -> None:
    """Write all tenants to `directory`, replacing what was there."""
    if directory.exists():
        shutil.rmtree(directory)
    for name, categories in TENANTS.items():
        write_tenant(directory / name, categories)
        sys.stdout.write(f"{directory / name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "tenants")
