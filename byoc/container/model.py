"""The model that a container is given."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from byoc.errors import ArchiveError

__all__ = ["model_directory"]


@contextmanager
def model_directory(path: Path) -> Iterator[Path]:
    """Yield the directory of a model: `path` itself or, if that is an archive, its contents until the block ends.

    Raises:
        ArchiveError: there is no such directory or archive, or it cannot be unpacked.
    """
    if path.is_dir():
        yield path
        return
    if not path.is_file():
        raise ArchiveError(f"{path}: no such directory or archive")
    with tempfile.TemporaryDirectory(prefix="model-") as directory:
        try:
            with tarfile.open(path) as tar:
                tar.extractall(directory, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise ArchiveError(f"{path} cannot be unpacked: {error}") from error
        Path(directory).chmod(0o755)  # the container may run as another user
        yield Path(directory)
