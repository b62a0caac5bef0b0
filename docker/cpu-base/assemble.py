"""Install the tritonserver of the nvidia-pytriton wheel in the layout of NVIDIA's image.

The result corresponds to `/opt/tritonserver` of `sagemaker-tritonserver`, for a machine without a GPU or AWS access:

    bin/tritonserver
    lib/                       the wheel's shared libraries, and libpython for the Python backend
    backends/python/           the Python backend, with the stub of the interpreter that runs this script
    backends/{onnxruntime,dali,pytorch}/model.py
                               stand-ins for the compiled backends, written in Python
    backends/python/stand_in.py
                               shared by them: Triton puts backends/python on their search path

Usage: python3 assemble.py DESTINATION. Needs only the standard library and the installed wheel.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
import tempfile
from importlib import metadata
from pathlib import Path

STAND_INS = Path(__file__).parents[2] / "python_backend_models" / "backends"


def wheel_root() -> Path:
    """Return the directory that nvidia-pytriton is installed in.

    Raises:
        SystemExit: it is not installed.
    """
    for entry in map(Path, sys.path):
        if (entry / "pytriton" / "tritonserver" / "bin" / "tritonserver").is_file():
            return entry
    raise SystemExit("nvidia-pytriton is not installed: pip install --no-deps -r requirements/tritonserver.lock")


def libpython() -> Path:
    """Return the shared library of this interpreter, which the Python backend's stub links to.

    Raises:
        SystemExit: this Python has none.
    """
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    places = [Path(str(sysconfig.get_config_var(key))) for key in ("LIBDIR", "LIBPL") if sysconfig.get_config_var(key)]
    places += [
        place / sysconfig.get_config_var("MULTIARCH") for place in places if sysconfig.get_config_var("MULTIARCH")
    ]
    for place in places:
        if (place / name).exists():
            return (place / name).resolve()
    raise SystemExit(f"{name} was not found in {', '.join(map(str, places))}: apt-get install {name.split('.so')[0]}")


def check_numpy() -> None:
    """Reject NumPy 2: the stub of this Triton was compiled for NumPy 1, reads strides of NumPy 2 as 0 and crashes.

    Raises:
        SystemExit: NumPy 2 is installed for this interpreter, which will run the Python backend.
    """
    try:
        version = metadata.version("numpy")
    except metadata.PackageNotFoundError:  # installed later, from a lock file with NumPy 1
        return
    if int(version.partition(".")[0]) >= 2:
        raise SystemExit(f"numpy {version} is installed, but this Triton's Python backend needs: pip install 'numpy<2'")


def assemble(destination: Path) -> None:
    """Write the tree to `destination` in one step, replacing what was there."""
    check_numpy()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    source = wheel_root()
    triton = source / "pytriton" / "tritonserver"
    stub = triton / "python_backend_stubs" / python / "triton_python_backend_stub"
    if not stub.is_file():
        built_for = ", ".join(sorted(path.name for path in stub.parents[1].iterdir()))
        raise SystemExit(f"the wheel has no Python backend for Python {python}, only for {built_for}")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f"{destination.name}-") as beside:
        tree = Path(beside) / "new"
        (tree / "bin").mkdir(parents=True)
        shutil.copy2(triton / "bin" / "tritonserver", tree / "bin")
        shutil.copytree(source / "nvidia_pytriton.libs", tree / "lib")
        shutil.copy2(libpython(), tree / "lib" / f"libpython{python}.so.1.0")
        shutil.copytree(triton / "backends" / "python", tree / "backends" / "python")
        shutil.copy2(stub, tree / "backends" / "python")
        for path in (tree / "bin" / "tritonserver", tree / "backends" / "python" / stub.name):
            path.chmod(0o755)
        shutil.copytree(STAND_INS, tree / "backends", dirs_exist_ok=True)
        if destination.exists():
            destination.rename(Path(beside) / "old")
        tree.rename(destination)


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
