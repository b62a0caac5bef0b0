"""Configurations of small models."""

from __future__ import annotations

__all__ = ["DEPENDS_ON", "MEMORY", "PYTHON", "ensemble"]

PYTHON = 'backend: "python"\n'
DEPENDS_ON = PYTHON + 'parameters [{ key: "sagemaker.depends_on" value: { string_value: "%s" } }]'
MEMORY = PYTHON + 'parameters [{ key: "sagemaker.required_memory_mb" value: { string_value: "%s" } }]'


def ensemble(*steps: str, tensors: tuple[str, ...] = ("a", "b", "c")) -> str:
    """An ensemble that hands its input `a` from step to step."""
    entries = ", ".join(
        f'{{ model_name: "{step}" input_map {{ key: "x" value: "{tensors[number]}" }} '
        f'output_map {{ key: "y" value: "{tensors[number + 1]}" }} }}'
        for number, step in enumerate(steps)
    )
    return f'platform: "ensemble" input [{{ name: "a" }}] ensemble_scheduling {{ step [{entries}] }}'
