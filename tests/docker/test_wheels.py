"""The wheels for an image, chosen outside of it. Downloads for real; needs no engine."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from byoc.errors import ImageError
from byoc.image import wheels
from byoc.image.wheels import Target
from tests.triton import ROOT

UBUNTU_22_04 = Target("3.10.12", "x86_64", "2.35")
UBUNTU_24_04 = Target("3.12.3", "x86_64", "2.39")
DEBIAN_12 = Target("3.11.2", "x86_64", "2.36")
SERVE_LOCK = ROOT / "requirements" / "serve.lock"

LOCK = """\
# a comment
exceptiongroup==1.2.0 ; python_full_version < '3.11' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via nothing
numpy==2.2.6 ; python_full_version < '3.11' \\
    --hash=sha256:cc
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:dd
pywin32==1 ; sys_platform == 'win32' \\
    --hash=sha256:ee
yarl==1.2 \\
    --hash=sha256:ff
"""


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (UBUNTU_22_04, ["exceptiongroup==1.2.0", "numpy==2.2.6", "yarl==1.2"]),
        (DEBIAN_12, ["yarl==1.2"]),
        (UBUNTU_24_04, ["numpy==2.5.5", "yarl==1.2"]),
    ],
)
def test_markers_are_those_of_the_target(target: Target, expected: list[str]) -> None:
    lines = wheels.requirements_for(LOCK, target).splitlines()
    assert [line.partition(" --hash=")[0] for line in lines] == expected
    assert all("--hash=sha256:" in line for line in lines)


def test_every_hash_is_kept() -> None:
    assert "--hash=sha256:aa --hash=sha256:bb" in wheels.requirements_for(LOCK, UBUNTU_22_04)


def test_platforms_end_at_the_c_library() -> None:
    assert UBUNTU_22_04.platforms[0] == "manylinux_2_35_x86_64"
    assert "manylinux_2_17_x86_64" in UBUNTU_22_04.platforms
    assert "manylinux_2_36_x86_64" not in UBUNTU_22_04.platforms
    assert Target("3.12.3", "aarch64", "2.39").platforms[-1] == "linux_aarch64"


@pytest.mark.parametrize("target", [UBUNTU_22_04, UBUNTU_24_04], ids=["python3.10", "python3.12"])
def test_download_for_another_python(target: Target, tmp_path: Path) -> None:
    """Every locked package, as a wheel that the target installs; a second call finds them there."""
    directory = tmp_path / "wheels"
    wheels.download(SERVE_LOCK, target, directory)
    wanted = {line.split("==")[0] for line in (directory / "requirements.txt").read_text().splitlines()}
    found = {}
    for file in directory.glob("*.whl"):
        name, _, _, tags = parse_wheel_filename(file.name)
        assert any(fits(tag, target) for tag in tags), file.name
        found[name] = file.stat().st_mtime_ns
    assert set(found) == wanted
    wheels.download(SERVE_LOCK, target, directory)
    assert sorted(found.values()) == sorted(file.stat().st_mtime_ns for file in directory.glob("*.whl"))


def fits(tag: Tag, target: Target) -> bool:
    minor = int(target.python.split(".")[1])
    abi3 = tag.abi == "abi3" and int(tag.interpreter.removeprefix("cp3")) <= minor
    python = tag.interpreter in (f"cp3{minor}", "py3", "py2.py3") or abi3
    return python and (tag.platform == "any" or tag.platform in target.platforms)


def test_wheel_that_is_not_what_was_locked(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text(f"six==1.17.0 \\\n    --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ImageError, match=r"(?s)pip download failed:.*DO NOT MATCH THE HASHES"):
        wheels.download(lock, DEBIAN_12, tmp_path / "wheels")
    assert not (tmp_path / "wheels" / "requirements.txt").exists()


def test_wheel_that_does_not_exist_for_the_target(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text(f"nvidia-pytriton==0.7.0 \\\n    --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ImageError, match=r"(?s)pip download failed:.*nvidia-pytriton"):
        wheels.download(lock, Target("3.12.3", "x86_64", "2.31"), tmp_path / "wheels")


def test_our_own_wheel_is_repeatable(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "triton_byoc-0.0.0-py3-none-any.whl").touch()
    wheels.build(ROOT, tmp_path / "dist")
    [first] = (tmp_path / "dist").glob("*.whl")
    wheels.build(ROOT, tmp_path / "again")
    assert first.read_bytes() == (tmp_path / "again" / first.name).read_bytes()
    with zipfile.ZipFile(first) as content:
        names = content.namelist()
    assert "serve/front_door/haproxy.cfg.j2" in names
    assert "byoc/image/base_images.json" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]


def test_serve_imports_from_the_wheel(tmp_path: Path) -> None:
    """The wheel contains every module and template."""
    wheels.build(ROOT, tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path / "site")
    code = "import serve.__main__; print(serve.__file__)"
    run = subprocess.run(
        [sys.executable, "-P", "-c", code], env={"PYTHONPATH": str(tmp_path / "site")}, capture_output=True
    )
    assert run.stdout.decode().startswith(str(tmp_path)), run.stderr.decode()
