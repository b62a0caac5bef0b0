"""The rules for model directories and tenants' archives, one per file. `serve` and `byoc pack` run the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from serve.repository.findings import Finding
from serve.repository.rules.absent_model import absent_model
from serve.repository.rules.circle import circle
from serve.repository.rules.config_at_root import config_at_root
from serve.repository.rules.context import Context, look
from serve.repository.rules.default_model import default_model
from serve.repository.rules.file_outside import file_outside
from serve.repository.rules.invalid_config import invalid_config
from serve.repository.rules.link_outside import link_outside
from serve.repository.rules.no_entry import no_entry
from serve.repository.rules.no_model import no_model
from serve.repository.rules.no_version import no_version
from serve.repository.rules.python_code import python_code
from serve.repository.rules.required_memory import required_memory
from serve.repository.rules.step_never_runs import step_never_runs
from serve.repository.rules.tensor_written_twice import tensor_written_twice
from serve.repository.rules.version_out_of_range import version_out_of_range

__all__ = ["RULES", "Context", "Rule", "check", "link_outside", "look"]

Rule = Callable[[Context], Iterator[Finding]]

# In the order in which findings are shown. `link_outside` runs before them, because it decides what may be read.
RULES: tuple[Rule, ...] = (
    config_at_root,
    no_model,
    default_model,
    invalid_config,
    no_entry,
    circle,
    absent_model,
    no_version,
    version_out_of_range,
    python_code,
    file_outside,
    tensor_written_twice,
    step_never_runs,
    required_memory,
)


def check(context: Context) -> tuple[Finding, ...]:
    """Return the findings of all rules."""
    return tuple(finding for rule in RULES for finding in rule(context))
