"""Model archives: choosing their files, checking that `serve` would load them, reading and writing them."""

from byoc.archive.check import MultiModel, SingleModel
from byoc.archive.model_archive import Archive, combined_digest, pack, pack_tenants, read

__all__ = ["Archive", "MultiModel", "SingleModel", "combined_digest", "pack", "pack_tenants", "read"]
