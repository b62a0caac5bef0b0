"""Request bodies from files, and responses as text or arrays: content types, KServe requests, tensors.

NumPy and tritonclient are imported only where they are needed, because most commands do not use them.
"""

from __future__ import annotations

import io
import json
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from byoc.errors import ConfigurationError, InvocationError
from serve import sagemaker

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Tensors = Mapping[str, npt.NDArray[Any]]

__all__ = ["Payload", "as_kserve", "from_file", "guess_content_type", "readable", "save", "tensors"]

NPY = "application/x-npy"
_SUFFIXES = {".npy": NPY, ".npz": "application/x-npz", ".jsonl": "application/jsonlines", ".json": sagemaker.JSON}
_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"\x93NUMPY", NPY),
)
_SHOWN_VALUES = 20


@dataclass(frozen=True)
class Payload:
    """A request's body and its content type."""

    body: bytes
    content_type: str


def from_file(name: str, stdin: BinaryIO, content_type: str | None = None) -> Payload:
    """The body in file `name`; `-` reads `stdin`.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    try:
        body = stdin.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {error.strerror}", "Check the path.") from error
    return Payload(body, content_type or guess_content_type(name, body))


def guess_content_type(name: str, body: bytes) -> str:
    """The media type of a file, from its suffix or else from its content."""
    suffix = Path(name).suffix.lower()
    guess = _SUFFIXES.get(suffix) or mimetypes.guess_type(f"file{suffix}")[0]
    if guess:
        return guess
    magic = next((kind for start, kind in _MAGIC if body.startswith(start)), None)
    if magic:
        return magic
    return sagemaker.JSON if body.lstrip()[:1] in (b"{", b"[") else sagemaker.OCTET_STREAM


def as_kserve(
    payload: Payload, form: Literal["json", "binary"], input_name: str, shape: tuple[int, ...] | None = None
) -> Payload:
    """A KServe v2 inference request with one input tensor.

    Args:
        payload: a `.npy` file becomes its array; any other file becomes one BYTES element, as image models expect.
        form: `json` is KServe JSON; `binary` is JSON followed by the tensor's bytes.
        input_name: the name of the model's input.
        shape: the tensor's shape. Default: the array's; for BYTES (1, 1), a batch of one.

    Raises:
        ConfigurationError: the array has an unsupported type or shape, or JSON cannot represent it.
    """
    from tritonclient.http import InferenceServerClient, InferInput
    from tritonclient.utils import InferenceServerException, np_to_triton_dtype

    array = _array(payload, shape)
    tensor = InferInput(input_name, list(array.shape), np_to_triton_dtype(array.dtype))
    try:
        tensor.set_data_from_numpy(array, binary_data=form == "binary")
    except (InferenceServerException, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--kserve json cannot represent this: {error}", "Use --kserve binary.") from error
    body, header_size = InferenceServerClient.generate_request_body([tensor])
    if form == "binary":
        return Payload(bytes(body), f"{sagemaker.BINARY_JSON_PREFIX}{header_size}")
    request = json.loads(body)
    del request["parameters"]["binary_data_output"]  # tritonclient requests binary outputs even for JSON inputs
    return Payload(json.dumps(request).encode(), sagemaker.JSON)


def _array(payload: Payload, shape: tuple[int, ...] | None) -> npt.NDArray[Any]:
    import numpy as np

    if payload.content_type != NPY:
        return np.array([payload.body], dtype=np.object_).reshape(shape or (1, 1))
    try:
        array: npt.NDArray[Any] = np.load(io.BytesIO(payload.body), allow_pickle=False)
        return array if shape is None else array.reshape(shape)
    except ValueError as error:
        remedy = "Save a numeric array with numpy.save, or pass another --shape."
        raise ConfigurationError(f"not a .npy file with a plain array of this shape: {error}", remedy) from error


def tensors(body: bytes, content_type: str) -> Tensors | None:
    """Name → tensor of a response; None if its content type is not one for tensors.

    Raises:
        InvocationError: the body does not match the content type.
    """
    import numpy as np

    kind = content_type.lower().replace(" ", "")
    if kind.startswith(NPY):
        return {"output": np.load(io.BytesIO(body), allow_pickle=False)}
    size = re.fullmatch(rf"{re.escape(sagemaker.BINARY_JSON_PREFIX)}(\d+)", kind)
    if not size:
        return None
    from tritonclient.http import InferenceServerClient

    header = body[: int(size[1])]
    try:
        names = [output["name"] for output in json.loads(header)["outputs"]]
        result = InferenceServerClient.parse_response_body(body, header_length=len(header))
    except (ValueError, KeyError, TypeError) as error:
        raise InvocationError(f"the response does not match its content type {content_type!r}: {error}") from error
    return {name: result.as_numpy(name) for name in names}


def readable(body: bytes, content_type: str) -> str | None:
    """A response as text: JSON indented, tensors as name, shape and first values; None if it is not text."""
    found = tensors(body, content_type)
    if found is not None:
        return "\n".join(_describe(name, array) for name, array in found.items())
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if "json" not in content_type:
        return text
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def _describe(name: str, array: npt.NDArray[Any]) -> str:
    values = [
        value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in array.ravel().tolist()
    ]
    more = f", … {len(values) - _SHOWN_VALUES} more" if len(values) > _SHOWN_VALUES else ""
    shown = ", ".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in values[:_SHOWN_VALUES])
    return f"{name} {array.dtype}{list(array.shape)}: {shown}{more}"


def save(body: bytes, content_type: str, file: Path) -> None:
    """Write a response to `file`. Suffix .npy (one tensor) or .npz (any number): as arrays; else unchanged.

    Raises:
        ConfigurationError: the response has no tensors, or too many for .npy.
    """
    if file.suffix not in (".npy", ".npz"):
        file.write_bytes(body)
        return
    found = tensors(body, content_type)
    if found is None:
        remedy = "Use another suffix than .npy and .npz."
        raise ConfigurationError(f"--output {file}: the response is {content_type}, without tensors", remedy)
    if file.suffix == ".npy" and len(found) != 1:
        raise ConfigurationError(f"--output {file}: the response has {len(found)} tensors", "Use a .npz file.")
    _save_arrays(found, file)


def _save_arrays(found: Tensors, file: Path) -> None:
    import numpy as np

    plain: dict[str, npt.NDArray[Any]] = {name: _without_objects(array) for name, array in found.items()}
    if file.suffix == ".npy":
        np.save(file, next(iter(plain.values())), allow_pickle=False)
    else:
        np.savez(file, **plain)


def _without_objects(array: npt.NDArray[np.object_]) -> npt.NDArray[Any]:
    """Convert a BYTES tensor from Python objects, which only pickle could store, to fixed-width bytes."""
    return array.astype("S") if array.dtype.hasobject else array
