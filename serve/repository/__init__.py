"""Model repositories: what lies in a model directory, and how Triton gets to see it."""

from serve.repository.config import read_config, write_config
from serve.repository.layout import Repository, RepositoryError, inspect_repository, is_junk
from serve.repository.staging import stage_for_cpu, wants_gpu

__all__ = [
    "Repository",
    "RepositoryError",
    "inspect_repository",
    "is_junk",
    "read_config",
    "stage_for_cpu",
    "wants_gpu",
    "write_config",
]
