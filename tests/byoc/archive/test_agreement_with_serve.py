"""What `byoc pack` says of an archive is what the real `serve` says at its start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from byoc.archive import SingleModel
from tests.byoc.archive.agreement import extracted, of_byoc
from tests.byoc.archive.random_archives import Directory, depends_on, ensemble
from tests.serving import reserved_environment

PYTHON = b'backend: "python"'
MAIN: dict[str, bytes | None] = {"main/config.pbtxt": PYTHON, "main/1/model.py": b""}
PIPELINE: dict[str, bytes | None] = {
    **{path.replace("main", "net"): content for path, content in MAIN.items()},
    "main/config.pbtxt": ensemble(("net", "x", "y")).encode(),
    "main/1": None,
}


def directory(files: dict[str, bytes | None], default: str | None = "main", *load_models: str) -> Directory:
    return Directory(files, {}, default, load_models, None)


DIRECTORIES = {
    "an ensemble with an empty version": directory(PIPELINE),
    "an ensemble without its model": directory({**PIPELINE, "net/config.pbtxt": b"", "net/1/model.py": None}),
    "an ensemble that calls an absent model": directory(
        {"main/config.pbtxt": ensemble(("typo", "x", "y")).encode(), "main/1": None}
    ),
    "a Python model that calls an absent model": directory(
        {**MAIN, "main/config.pbtxt": PYTHON + depends_on("typo").encode()}
    ),
    "a Python model without code": directory({"main/config.pbtxt": PYTHON, "main/1": None}),
    "the same model, which is not loaded": directory({**PIPELINE, "other/config.pbtxt": PYTHON, "other/1": None}),
    "the same model, which is": directory({**PIPELINE, "other/config.pbtxt": PYTHON, "other/1": None}, "main", "other"),
    "a version with a leading zero": directory({"main/config.pbtxt": PYTHON, "main/001/model.py": b""}, None),
    "two models without a default": directory(PIPELINE, None),
    "a broken configuration": directory({**MAIN, "main/config.pbtxt": b"colour: 1"}),
}


@pytest.mark.parametrize("kind", DIRECTORIES)
def test_a_start(tmp_path: Path, kind: str) -> None:
    case = DIRECTORIES[kind]
    source = case.write(tmp_path / "source")
    endpoint = SingleModel(case.default_model, case.load_models)
    accepted, findings = of_byoc(source, tmp_path / "packed" / "source.tar.gz", endpoint)
    extracted(source, tmp_path / "ml", endpoint)
    shown = print_plan(tmp_path / "ml", case)
    assert shown.returncode == (0 if accepted else 2), shown.stdout
    for finding in findings:
        if finding.severity == ("warning" if accepted else "error"):
            assert str(finding) in shown.stdout


def print_plan(base_dir: Path, case: Directory) -> subprocess.CompletedProcess[str]:
    given = {
        "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": case.default_model or "",
        "SAGEMAKER_TRITON_LOAD_MODELS": ",".join(case.load_models),
    }
    with reserved_environment(base_dir) as own:
        return subprocess.run(
            [sys.executable, "-m", "serve", "--print-plan"],
            env={**own, **{name: value for name, value in given.items() if value}},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
