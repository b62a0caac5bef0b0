"""Stand-in for the compiled `pytorch` backend (platform `pytorch_libtorch`): TorchScript on the CPU.

Inputs are bound as in the compiled backend: by the number in `NAME__0`, otherwise by the names of `forward`'s
arguments, otherwise in the order of the configuration. Outputs follow the number in `NAME__0`, otherwise the order of
the configuration. It honours these parameters of the compiled backend: `INTRA_OP_THREAD_COUNT`,
`INTER_OP_THREAD_COUNT` and `INFERENCE_MODE`. TorchScript does not contain the shapes of its inputs, so nothing can be
completed in `config.pbtxt`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import stand_in
from numpy.typing import NDArray

FILENAME = "model.pt"
NUMBERED = re.compile(r".+__(\d+)$")


class TritonPythonModel:
    """One instance of a model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the file and match tensors to arguments."""
        self._torch = import_torch()
        model = stand_in.load_model(args, FILENAME)
        check(model)
        set_threads(self._torch, model)
        self._module = load(self._torch, model)
        self._inputs = positions(model, [tensor.name for tensor in model.inputs], argument_names(self._module))
        self._outputs = positions(model, [tensor.name for tensor in model.outputs], [])
        inference = model.parameters.get("INFERENCE_MODE", "true").lower() == "true"
        self._without_gradients = self._torch.inference_mode if inference else self._torch.no_grad
        self._batched = model.max_batch_size > 0

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Respond to requests, in one batch if the model supports it."""
        return stand_in.respond_stacked(requests, self._run, batched=self._batched)

    def _run(self, arrays: stand_in.Arrays) -> stand_in.Arrays:
        # Copied: request tensors are read-only views of shared memory, but torch would let the model write to them.
        tensors = [self._torch.from_numpy(np.array(arrays[name])) for name in self._inputs]
        try:
            with self._without_gradients():
                result = self._module(*tensors)
        except RuntimeError as error:
            raise stand_in.RunError(f"TorchScript: {error}", invalid_argument=False) from error
        return self._named(result)

    def _named(self, result: Any) -> stand_in.Arrays:
        values = list(result) if isinstance(result, (tuple, list)) else [result]
        if len(values) < len(self._outputs):
            raise stand_in.RunError(
                f"the model returned {len(values)} tensor(s), but the configuration has {len(self._outputs)} outputs",
                invalid_argument=False,
            )
        return {name: _array(value) for name, value in zip(self._outputs, values, strict=False)}


def import_torch() -> ModuleType:
    """Return PyTorch, which is too large to be in the image by default.

    Raises:
        stand_in.ModelLoadError: it is not installed.
    """
    try:
        return import_module("torch")
    except ImportError as error:
        raise stand_in.ModelLoadError(
            "without the compiled backend, a model of the pytorch backend needs PyTorch: "
            "install torch for the python3 that is first on PATH"
        ) from error


def set_threads(torch: ModuleType, model: stand_in.Model) -> None:
    """Give this process its share of the CPUs."""
    torch.set_num_threads(model.parameter("INTRA_OP_THREAD_COUNT", 0) or stand_in.threads(model))
    torch.set_num_interop_threads(model.parameter("INTER_OP_THREAD_COUNT", 0) or 1)


def load(torch: ModuleType, model: stand_in.Model) -> Any:
    """Return the TorchScript module, on the CPU.

    Raises:
        stand_in.ModelLoadError: the file is missing or not TorchScript.
    """
    try:
        return torch.jit.load(str(model.file), map_location="cpu").eval()
    except RuntimeError as error:
        raise stand_in.ModelLoadError(
            f"model '{model.name}': {model.file} is not TorchScript that PyTorch {torch.__version__} can load: "
            f"save it with torch.jit.save ({error})"
        ) from error


def argument_names(module: Any) -> list[str]:
    """Return the names of `forward`'s arguments in order, without self."""
    return [argument.name for argument in module.forward.schema.arguments[1:]]


def positions(model: stand_in.Model, names: list[str], arguments: list[str]) -> list[str]:
    """Return tensor names in the order of the arguments that they are bound to.

    Raises:
        stand_in.ModelLoadError: only some names have a number, or the numbers are not 0, 1, 2 …
    """
    numbers = [int(match[1]) for match in map(NUMBERED.match, names) if match]
    if not numbers:
        return sorted(names, key=arguments.index) if set(names) <= set(arguments) else names
    if sorted(numbers) != list(range(len(names))):
        raise stand_in.ModelLoadError(
            f"model '{model.name}': {', '.join(names)} must all end in __0, __1 … without a gap, or none of them"
        )
    return [name for _, name in sorted(zip(numbers, names, strict=True))]


def check(model: stand_in.Model) -> None:
    """Reject what this stand-in does not serve.

    Raises:
        stand_in.ModelLoadError: a tensor of strings, or an optional input.
    """
    stand_in.refuse_optional_inputs(model)
    for tensor in (*model.inputs, *model.outputs):
        if tensor.data_type == "TYPE_STRING":
            raise stand_in.ModelLoadError(
                f"model '{model.name}': '{tensor.name}' is TYPE_STRING, which only the compiled backend supports"
            )


def _array(value: Any) -> NDArray[Any]:
    return np.asarray(value.cpu().contiguous().numpy())
