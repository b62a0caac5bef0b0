"""Model directories and archives: finding models, checking them, and preparing them for Triton."""

from serve.repository.archives import Tenant, inspect_tenant
from serve.repository.config import InstanceGroup, ModelConfig, config_from_triton, read_config
from serve.repository.findings import Finding, RepositoryError, refusal
from serve.repository.layout import find_models, is_junk, is_model
from serve.repository.model import Model
from serve.repository.names import names_in_triton
from serve.repository.processes import Runtime, instances, processes, processes_by_group
from serve.repository.selection import Repository, inspect_repository, inspect_shared_models
from serve.repository.staging import install_tenant, stage_for_cpu

__all__ = [
    "Finding",
    "InstanceGroup",
    "Model",
    "ModelConfig",
    "Repository",
    "RepositoryError",
    "Runtime",
    "Tenant",
    "config_from_triton",
    "find_models",
    "inspect_repository",
    "inspect_shared_models",
    "inspect_tenant",
    "install_tenant",
    "instances",
    "is_junk",
    "is_model",
    "names_in_triton",
    "processes",
    "processes_by_group",
    "read_config",
    "refusal",
    "stage_for_cpu",
]
