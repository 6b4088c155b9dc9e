"""Fetches published models from mirrors, and lets through only what the package's index lists."""

from m3amba_zoo.hub.download.cache import cached_folder, fetch_card
from m3amba_zoo.hub.download.check import lacks, verify_card
from m3amba_zoo.hub.download.export import copy_card, export_mirror, require_new_folder
from m3amba_zoo.hub.download.mirror import mirror_names, open_mirror
from m3amba_zoo.hub.download.settings import cache_folder

__all__ = [
    "cache_folder",
    "cached_folder",
    "copy_card",
    "export_mirror",
    "fetch_card",
    "lacks",
    "mirror_names",
    "open_mirror",
    "require_new_folder",
    "verify_card",
]
