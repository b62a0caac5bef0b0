"""Model archives: what goes into one, whether `serve` would load it, and writing it."""

from byoc.archive.check import MultiModel, SingleModel
from byoc.archive.model_archive import Archive, combined_digest, pack, pack_tenants, read

__all__ = ["Archive", "MultiModel", "SingleModel", "combined_digest", "pack", "pack_tenants", "read"]
