"""The image classifier, for the examples of the pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import RunningServe, running_serve
from tests.triton import ROOT


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServe]:
    base_dir = tmp_path_factory.mktemp("ml")
    (base_dir / "model").symlink_to(ROOT / "model_repository", target_is_directory=True)
    with running_serve(base_dir, {"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "image_classification"}) as serve:
        yield serve
