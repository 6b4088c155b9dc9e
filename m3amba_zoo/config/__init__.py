"""Configs: read, changed by options, completed from source and model, and hashed."""

from m3amba_zoo.config.completion import complete
from m3amba_zoo.config.options import apply_options, config_sha256, set_seed
from m3amba_zoo.config.reading import read_config, read_raw

__all__ = [
    "apply_options",
    "complete",
    "config_sha256",
    "read_config",
    "read_raw",
    "set_seed",
]
