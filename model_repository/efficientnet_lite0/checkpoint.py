"""Read a PyTorch checkpoint in the format before 1.6 (pickles followed by the raw storages) into NumPy arrays.

tinygrad's `torch_load` reads the same file, but copies every weight that is not stored contiguously (all convolutions
of a port from TensorFlow) in interpreted Python: that takes 40 s, and here 0.1 s.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C  # of torch.save before 1.6
STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class CheckpointError(ValueError):
    """The file is not a checkpoint that this module reads."""


class _Reader(pickle.Unpickler):
    """Unpickles only dictionaries of tensors; rejects a pickle that names any other class or function."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, NDArray[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise CheckpointError(
            f"the checkpoint holds {module}.{name}: only dictionaries of float and long tensors are read"
        )

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        _, dtype, key, _, count, _ = pid  # "storage", type, key, device, elements, view
        return self.storages.setdefault(key, np.zeros(count, dtype))


def _tensor(
    storage: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> partial[NDArray[Any]]:
    """Return a function that makes the tensor, because its storage is filled later. Strides are in elements."""
    byte_strides = [stride * storage.itemsize for stride in strides]
    return partial(as_strided, storage[offset:], shape, byte_strides, writeable=False)


def read(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a state dictionary by name.

    Raises:
        CheckpointError: another format, other content than tensors, or a truncated file.
    """
    with path.open("rb") as file:
        try:
            if _Reader(file).load() != MAGIC:
                raise CheckpointError(f"{path} is not a checkpoint of torch.save before 1.6")
            for _ in ("protocol version", "type sizes"):
                _Reader(file).load()
            reader = _Reader(file)
            tensors = reader.load()
            for key in _Reader(file).load():
                _fill(reader.storages[key], file)
        except (pickle.UnpicklingError, EOFError) as error:
            raise CheckpointError(f"{path} is not a checkpoint of torch.save before 1.6: {error}") from error
    return {name: make() for name, make in tensors.items()}


def _fill(storage: NDArray[Any], file: BinaryIO) -> None:
    """Read one storage: its number of elements, then the elements."""
    count = int.from_bytes(file.read(8), "little")
    content = file.read(count * storage.itemsize)
    if count != storage.size or len(content) != storage.nbytes:
        raise EOFError(f"a storage of {storage.size} elements has {len(content) // storage.itemsize}")
    storage[:] = np.frombuffer(content, storage.dtype)
