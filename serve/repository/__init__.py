"""Model repositories: what lies in a model directory, and how Triton gets to see it."""

from serve.repository.archives import Tenant, inspect_tenant, install_tenant, names_in_triton
from serve.repository.config import read_config, write_config
from serve.repository.layout import Model, Repository, RepositoryError, find_models, inspect_repository, is_junk
from serve.repository.selection import select_models
from serve.repository.staging import stage_for_cpu

__all__ = [
    "Model",
    "Repository",
    "RepositoryError",
    "Tenant",
    "find_models",
    "inspect_repository",
    "inspect_tenant",
    "install_tenant",
    "is_junk",
    "names_in_triton",
    "read_config",
    "select_models",
    "stage_for_cpu",
    "write_config",
]
