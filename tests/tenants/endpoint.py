"""Tenants with their own encoders behind one endpoint, and their memory."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from tests.serve.client import Response
from tests.serve.multi_model.endpoint import Endpoint
from tests.triton import ROOT

__all__ = ["SHARED", "WEIGHTS", "Mapping", "build_archive", "embeddings", "mappings", "write_tenants"]

EXAMPLE = ROOT / "examples" / "text_tenants"
SHARED = ROOT / "model_repository"
WEIGHTS = "model.onnx.data"
KIB = 1024


@dataclass(frozen=True)
class Mapping:
    """A memory-mapped file of a process: resident bytes, and bytes of private copies."""

    file: str
    inode: int
    resident: int
    copied: int


def build_archive(directory: Path) -> Path:
    """Run the example's own build in another place, and return the archive that it makes."""
    archive = directory / "archive"
    shutil.copytree(EXAMPLE / "tenants" / "english", archive, ignore=shutil.ignore_patterns("1"))
    done = subprocess.run(
        [sys.executable, EXAMPLE / "build.py", archive], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return archive


def write_tenants(archive: Path, models_dir: Path, names: Sequence[str]) -> None:
    """Extract an archive once for each tenant, without copies: all have the same files, by hard links."""
    for name in names:
        shutil.copytree(archive, models_dir / name / "model", copy_function=os.link)


def embeddings(endpoint: Endpoint, tenant: str, *texts: str) -> NDArray[np.float64]:
    """Return the sentence embeddings that a tenant gives: [texts, 384]."""
    tensor = {"name": "text", "shape": [len(texts), 1], "datatype": "BYTES", "data": texts}
    body = json.dumps({"inputs": [tensor]}).encode()
    answer: Response = endpoint.call("POST", f"/models/{tenant}/invoke", body)
    assert answer.status == 200, answer
    [output] = answer.json()["outputs"]
    assert (output["name"], output["shape"]) == ("sentence_embedding", [len(texts), 384])
    return np.array(output["data"]).reshape(output["shape"])


def mappings(process: psutil.Process, name: str) -> Iterator[Mapping]:
    """Yield each mapping of a file of this name, from the kernel's `smaps`."""
    smaps = Path(f"/proc/{process.pid}/smaps").read_text()
    for block in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", smaps):
        first, *rest = block.splitlines()
        fields = first.split(maxsplit=5)
        if len(fields) == 6 and fields[5].endswith(f"/{name}"):
            sizes = {key: int(value.split()[0]) * KIB for key, _, value in (line.partition(":") for line in rest[:20])}
            yield Mapping(fields[5], int(fields[4]), sizes["Rss"], sizes["Anonymous"])
