"""Packing: the archive's contents, its reproducibility, and rejection of what `serve` would refuse."""

from __future__ import annotations

import gzip
import io
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from byoc.archive import MultiModel, SingleModel, combined_digest, pack, pack_tenants, read
from byoc.errors import ArchiveError
from serve.repository import inspect_repository
from tests.byoc.conftest import Byoc, write_model

ENSEMBLE = """
platform: "ensemble"
ensemble_scheduling {{ step [ {{ model_name: "{0}" model_version: -1
  input_map {{ key: "x" value: "x" }} output_map {{ key: "y" value: "y" }} }} ] }}
input [ {{ name: "x" data_type: TYPE_FP32 dims: [ 1 ] }} ]
output [ {{ name: "y" data_type: TYPE_FP32 dims: [ 1 ] }} ]
"""


def write_ensemble(directory: Path, step: str) -> None:
    (directory / "pipeline" / "1").mkdir(parents=True)
    (directory / "pipeline" / "config.pbtxt").write_text(ENSEMBLE.format(step))


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


def test_serve_loads_what_was_packed(model: Path, tmp_path: Path) -> None:
    packed = pack(model, tmp_path / "model.tar.gz")
    with tarfile.open(packed.path) as tar:
        tar.extractall(tmp_path / "extracted", filter="data")
    assert inspect_repository(tmp_path / "extracted").models == packed.models == ("double",)


def test_the_same_directory_gives_the_same_bytes(model: Path, tmp_path: Path) -> None:
    """The archive doesn't depend on the files' times, order or owners."""
    files = [f"{number}.bin" for number in range(20)]
    first, second = model / "double" / "1", write_model(tmp_path / "copy") / "double" / "1"
    for directory in (first, second):
        random.shuffle(files)
        for name in files:
            (directory / name).write_bytes(name.encode())
            os.utime(directory / name, (random.randrange(10**9), random.randrange(10**9)))
    one, two = pack(model, tmp_path / "1.tar.gz"), pack(tmp_path / "copy", tmp_path / "2.tar.gz")
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.digest == two.digest


def test_entries_tell_nothing_of_this_machine(model: Path, tmp_path: Path) -> None:
    (model / "double" / "1" / "run.sh").write_text("#!/bin/sh\n")
    (model / "double" / "1" / "run.sh").chmod(0o4750)
    with tarfile.open(pack(model, tmp_path / "model.tar.gz").path) as tar:
        members = tar.getmembers()
    assert [(one.name, one.mode) for one in members] == [
        ("double", 0o755),
        ("double/1", 0o755),
        ("double/1/model.py", 0o644),
        ("double/1/run.sh", 0o755),
        ("double/config.pbtxt", 0o644),
    ]
    assert {(one.mtime, one.uid, one.gid, one.uname, one.gname) for one in members} == {(0, 0, 0, "", "")}


def test_digest_is_of_the_content(model: Path, tmp_path: Path) -> None:
    """The digest of a finished archive doesn't depend on its compression."""
    packed = pack(model, tmp_path / "model.tar.gz")
    (tmp_path / "other.tar.gz").write_bytes(gzip.compress(gzip.decompress(packed.path.read_bytes()), 1))
    again = read(tmp_path / "other.tar.gz")
    assert (again.digest, again.models) == (packed.digest, packed.models)


@pytest.mark.parametrize("junk", ["._double", "__MACOSX/x", ".ipynb_checkpoints/x", "double/1/._model.py",
                                  "double/1/__pycache__/model.pyc", "double/.DS_Store", ".git/config"])  # fmt: skip
def test_leaves_junk_out(model: Path, tmp_path: Path, junk: str) -> None:
    clean = pack(model, tmp_path / "clean.tar.gz")
    (model / junk).parent.mkdir(exist_ok=True)
    (model / junk).write_text("junk")
    assert pack(model, tmp_path / "model.tar.gz").digest == clean.digest


def test_keeps_hidden_files_of_a_model(model: Path, tmp_path: Path) -> None:
    (model / "double" / "1" / ".vocabulary").write_text("a")
    assert "double/1/.vocabulary" in names(pack(model, tmp_path / "model.tar.gz").path)


def test_links_are_followed(model: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"weights")
    (model / "double" / "1" / "weights.bin").symlink_to(tmp_path / "weights.bin")
    with tarfile.open(pack(model, tmp_path / "model.tar.gz").path) as tar:
        file = tar.extractfile("double/1/weights.bin")
        assert file is not None
        assert file.read() == b"weights"


def test_one_model_gets_a_directory(model: Path, tmp_path: Path) -> None:
    packed = pack(model / "double", tmp_path / "model.tar.gz")
    assert packed.digest == pack(model, tmp_path / "other.tar.gz").digest


def test_archive_inside_the_directory_does_not_hold_itself(model: Path) -> None:
    first = pack(model, model / "model.tar.gz")
    assert pack(model, model / "model.tar.gz").digest == first.digest


def test_ensemble_needs_a_default_model(model: Path, tmp_path: Path) -> None:
    write_ensemble(model, "double")
    assert pack(model, tmp_path / "model.tar.gz", SingleModel("pipeline")).models == ("double", "pipeline")
    with pytest.raises(ArchiveError, match=r"it holds 2 models (.|\n)*--default-model"):
        pack(model, tmp_path / "model.tar.gz")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda model: (model / "double" / "config.pbtxt").write_text("backend: {"),
            "config.pbtxt:1: this is not a valid",
        ),
        (lambda model: (model / "double" / "1" / "x").symlink_to("nowhere"), "is a broken link"),
        (lambda model: (model / "double" / "1" / "x").symlink_to(model), "is a link to a directory that holds it"),
        (lambda model: os.mkfifo(model / "double" / "1" / "x"), "is neither a file nor a directory"),
    ],
)
def test_refuses_with_the_reason(model: Path, tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(model)
    with pytest.raises(ArchiveError, match=message):
        pack(model, tmp_path / "model.tar.gz")
    assert not (tmp_path / "model.tar.gz").exists()


def test_refuses_an_empty_directory_and_names_it(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ArchiveError) as caught:
        pack(tmp_path / "nothing", tmp_path / "model.tar.gz")
    assert str(caught.value).startswith(f"the model directory {tmp_path}/nothing can't be served: it holds no model")


def test_tenants(tmp_path: Path) -> None:
    """One model at the root, a repository with one model, an ensemble whose step the image shares."""
    directory = tmp_path / "tenants"
    write_model(directory, "plain")
    write_model(directory / "nested", "inner")
    write_ensemble(directory / "shared", "image_decode")
    packed = pack_tenants(directory, tmp_path / "out")
    assert [(one.path.name, one.models) for one in packed] == [
        ("nested.tar.gz", ("inner",)),
        ("plain.tar.gz", ("plain",)),
        ("shared.tar.gz", ("pipeline",)),
    ]
    assert [read(one.path, MultiModel()).digest for one in packed] == [one.digest for one in packed]


def write_caller(directory: Path, called: str) -> Path:
    """A Python model that says that it calls another."""
    write_model(directory, "caller")
    with (directory / "caller" / "config.pbtxt").open("a") as file:
        file.write(f'parameters {{ key: "sagemaker.depends_on" value {{ string_value: "{called}" }} }}')
    return directory


def test_refuses_a_python_model_without_code(model: Path, tmp_path: Path) -> None:
    (model / "double" / "1" / "model.py").rename(model / "double" / "1" / "main.py")
    with pytest.raises(ArchiveError, match=r"double is a Python model without 1/model\.py"):
        pack(model, tmp_path / "model.tar.gz")


def test_refuses_a_call_to_an_absent_model(model: Path, tmp_path: Path) -> None:
    write_ensemble(model, "typo")
    with pytest.raises(ArchiveError, match="pipeline calls the model 'typo', which is not in the model directory"):
        pack(model, tmp_path / "model.tar.gz", SingleModel("pipeline"))
    with pytest.raises(ArchiveError, match="caller calls the model 'typo'"):
        pack(write_caller(tmp_path / "other", "typo"), tmp_path / "model.tar.gz")


def test_warns_of_a_mistake_in_a_model_that_is_not_loaded(model: Path, tmp_path: Path) -> None:
    write_model(model, "other")
    (model / "other" / "1" / "model.py").unlink()
    [warning] = pack(model, tmp_path / "model.tar.gz", SingleModel("double")).warnings
    assert (warning.code, warning.severity) == ("python-without-code", "warning")
    with pytest.raises(ArchiveError, match="other is a Python model without"):
        pack(model, tmp_path / "model.tar.gz", SingleModel("double", ("other",)))
    with pytest.raises(ArchiveError, match=r"names 'typo', which is not in it(.|\n)*--load-model"):
        pack(model, tmp_path / "model.tar.gz", SingleModel("double", ("typo",)))


def test_a_tenant_that_calls_shared_models(tmp_path: Path) -> None:
    """Where they are not known, what the image must share is a warning; where they are, a call to another an error."""
    write_caller(tmp_path / "tenants" / "ada", "tokenizer")
    [packed] = pack_tenants(tmp_path / "tenants", tmp_path / "out")
    assert [str(warning) for warning in packed.warnings] == [
        "caller/config.pbtxt: caller calls the model 'tokenizer', which is not in the archive (caller): the image must "
        "share a model 'tokenizer'"
    ]
    [packed] = pack_tenants(tmp_path / "tenants", tmp_path / "out", MultiModel(frozenset({"tokenizer"})))
    assert packed.warnings == read(packed.path, MultiModel(frozenset({"tokenizer"}))).warnings == ()
    with pytest.raises(ArchiveError, match=r"neither in the archive \(caller\) nor shared \(none\)"):
        pack_tenants(tmp_path / "tenants", tmp_path / "out", MultiModel(frozenset()))


def test_an_empty_version_directory_survives(model: Path, tmp_path: Path) -> None:
    """Triton refuses an ensemble without one."""
    write_ensemble(model, "double")
    packed = pack(model, tmp_path / "model.tar.gz", SingleModel("pipeline"))
    assert "pipeline/1" in names(packed.path)
    assert read(packed.path, SingleModel("pipeline")) == packed
    (model / "pipeline" / "1").rmdir()
    with pytest.raises(ArchiveError, match="pipeline has no version that Triton serves"):
        pack(model, tmp_path / "model.tar.gz", SingleModel("pipeline"))


def test_a_large_configuration_is_read_to_its_end(model: Path, tmp_path: Path) -> None:
    with (model / "double" / "config.pbtxt").open("a") as file:
        file.write("# comment\n" * 200_000 + "colour: 1")
    tar = tmp_path / "model.tar.gz"
    with tarfile.open(tar, "w:gz") as written:
        written.add(model, ".")
    with pytest.raises(ArchiveError, match="colour"):
        read(tar)


def test_no_tenant_is_written_when_one_is_wrong(tmp_path: Path) -> None:
    directory = tmp_path / "tenants"
    write_model(directory, "good")
    (directory / "wrong").mkdir()
    with pytest.raises(ArchiveError, match="wrong"):
        pack_tenants(directory, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_combined_digest_changes_with_name_and_content(tmp_path: Path) -> None:
    write_model(tmp_path / "a", "one")
    write_model(tmp_path / "b", "two")
    write_model(tmp_path / "c", "one", code="other")
    digests = {combined_digest(pack_tenants(tmp_path / name, tmp_path / f"out-{name}")) for name in "abc"}
    assert len(digests) == 3


def write_tar(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b""))
    return path


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "double/../../outside"])
def test_refuses_paths_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="path outside"):
        read(write_tar(tmp_path / "model.tar.gz", tarfile.TarInfo(name)))


def test_refuses_links_in_a_ready_archive(tmp_path: Path) -> None:
    link = tarfile.TarInfo("double/1/model.py")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(ArchiveError, match="a link"):
        read(write_tar(tmp_path / "model.tar.gz", link))


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", gzip.compress(b"no tar")[:-3], gzip.compress(b"x" * 600)],
    ids=["empty", "zip", "gzip that is cut short", "gzip of no tar"],
)
def test_refuses_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.tar.gz").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"not a readable \.tar\.gz|holds no model"):
        read(tmp_path / "model.tar.gz")


def test_command(byoc: Byoc, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = byoc.ok("pack", model, "--json").json
    assert result == [read(Path("model.tar.gz")).summary()]
    assert "double" in byoc.ok("pack", model).out
    write_model(tmp_path / "tenants" / "ada")
    assert "models/ada.tar.gz" in byoc.ok("pack", "tenants", "--multi-model").out


def test_command_with_shared_models(byoc: Byoc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_caller(tmp_path / "tenants" / "ada", "tokenizer")
    write_model(tmp_path / "image", "tokenizer")
    command = ("pack", "tenants", "--multi-model")
    assert (
        "warning: models/ada.tar.gz: caller/config.pbtxt: caller calls the model 'tokenizer'" in byoc.ok(*command).err
    )
    for shared in (("tokenizer",), ("other", "--shared-models", "image")):
        assert "warning" not in byoc.ok(*command, "--shared-models", *shared).err
    refused = byoc(*command, "--shared-models", "other")
    assert (refused.status, "nor shared (other)" in refused.err) == (1, True)


def test_command_with_models_to_load(byoc: Byoc, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_model(model, "other", code="")
    (model / "other" / "1" / "model.py").unlink()
    command = ("pack", model, "--default-model", "double")
    assert "other is a Python model without 1/model.py: add the file (the model is not loaded)" in byoc.ok(*command).err
    assert byoc(*command, "--load-model", "other").status == 1
