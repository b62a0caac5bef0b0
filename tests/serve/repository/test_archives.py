"""What is found in a tenant's archive, and what its models are called in Triton."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve.repository import RepositoryError, Runtime, Tenant, inspect_tenant, names_in_triton
from tests.serve.repository.configurations import DEPENDS_ON, MEMORY, PYTHON, ensemble

SHARED = frozenset({"shared"})


def tenant(directory: Path, models: dict[str, str]) -> Tenant:
    """Inspect an archive of Python models and ensembles with these configurations; "" is one at the root."""
    for name, config in models.items():
        version = directory / name / "1"
        version.mkdir(parents=True)
        (directory / name / "config.pbtxt").write_text(config)
        if "ensemble" not in config:
            (version / "model.py").write_text("12345")
    return inspect_tenant(directory, SHARED)


def test_an_archive_of_several_models(tmp_path: Path) -> None:
    """The entry calls both others, one of which calls the other."""
    models = {
        "last": PYTHON,
        "main": ensemble("middle", "last", tensors=("a", "b", "c")),
        "middle": DEPENDS_ON % "last, shared",
    }
    found = tenant(tmp_path, models)
    assert (found.entry, [model.name for model in found.models]) == ("main", ["main", "last", "middle"])
    assert found.layers == (("main",), ("middle",), ("last",))
    assert (found.shared, found.warnings) == (("shared",), ())


def test_an_archive_that_is_a_model(tmp_path: Path) -> None:
    found = tenant(tmp_path, {"": MEMORY % "3"})
    assert (found.entry, found.layers, found.required_bytes) == ("", (("",),), 3 * 1024**2)
    assert found.size_bytes == 5 + (tmp_path / "config.pbtxt").stat().st_size


def test_the_processes_of_all_models(tmp_path: Path) -> None:
    onnx = 'backend: "onnxruntime" instance_group [{ count: 4 }]'
    found = tenant(tmp_path, {"main": ensemble("net", "pre"), "net": onnx, "pre": PYTHON})
    assert found.processes(Runtime()) == 1
    assert found.processes(Runtime(frozenset({"python", "onnxruntime"}))) == 5


def test_shared_models_that_are_not_known(tmp_path: Path) -> None:
    tenant(tmp_path, {"main": ensemble("shared")})
    found = inspect_tenant(tmp_path, None)
    assert found.shared == ("shared",)
    assert [(warning.code, warning.severity) for warning in found.warnings] == [("absent-model", "warning")]


@pytest.mark.parametrize("target", ["/etc", "..", "../other", "loop"])
def test_nothing_is_read_behind_a_link_that_leads_out(tmp_path: Path, target: str) -> None:
    (tmp_path / "other" / "1").mkdir(parents=True)
    (tmp_path / "other" / "config.pbtxt").write_text("secret")
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "loop").symlink_to(target)
    with pytest.raises(RepositoryError) as error:
        inspect_tenant(tmp_path / "archive", SHARED)
    (finding,) = error.value.findings
    assert (finding.code, str(finding.path), error.value.tree) == ("link-outside", "loop", "")
    assert "secret" not in str(error.value)


def test_a_link_within_the_archive(tmp_path: Path) -> None:
    tenant(tmp_path, {"main": PYTHON})
    (tmp_path / "main" / "1" / "weights").symlink_to("../config.pbtxt")
    assert inspect_tenant(tmp_path, SHARED).entry == "main"


def test_names(tmp_path: Path) -> None:
    found = tenant(tmp_path, {"main": ensemble("part"), "part": PYTHON})
    assert names_in_triton("ada", found) == {"main": "ada", "part": "ada--part"}
    for taken in ("shared", "a--b", "ä", ".", "x" * 101):
        names = names_in_triton(taken, found, SHARED)
        assert names["main"] not in SHARED
        assert names["part"] == f"{names['main']}--part"
        assert names["main"].isascii()
        assert "--" not in names["main"]
    assert names_in_triton("ada", found, taken=frozenset({"ada--part"}))["main"].startswith("ada_1_")
