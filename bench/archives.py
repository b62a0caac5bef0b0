"""Tenants' archives, extracted as SageMaker extracts them."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["CLASSIFIER", "IDENTITY", "ROOT", "SHARED", "write_classifier", "write_identity"]

ROOT = Path(__file__).parents[1]
IDENTITY = Path(__file__).with_name("model_repository") / "identity"
CLASSIFIER = ROOT / "model_repository"
SHARED = ("image_bytes", "image_decode", "label_top_k")
OWN = ("image_classification", "efficientnet_lite0")


def write_identity(models_dir: Path, name: str) -> None:
    """Write an archive with one Python model, which returns its input."""
    _copy(IDENTITY, models_dir / name / "model" / "identity")


def write_classifier(models_dir: Path, name: str, *, with_shared: bool) -> None:
    """Write an archive with the image classifier.

    Args:
        with_shared: with its own pre- and post-processing instead of the image's shared models.
    """
    for model in (*OWN, *(SHARED if with_shared else ())):
        _copy(CLASSIFIER / model, models_dir / name / "model" / model)


def _copy(model: Path, target: Path) -> None:
    """Copy a model for the CPU: Triton refuses KIND_GPU where there is no GPU."""
    shutil.copytree(model, target, ignore=shutil.ignore_patterns("__pycache__", ".mypy_cache"))
    config = target / "config.pbtxt"
    config.write_text(config.read_text().replace("KIND_GPU", "KIND_CPU"))
