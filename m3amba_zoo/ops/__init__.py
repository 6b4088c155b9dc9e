"""The selective scan: one meaning, several engines."""

from m3amba_zoo.ops.backend import backends, set_default_backend
from m3amba_zoo.ops.operators import selective_scan, selective_scan_2d

__all__ = ["backends", "selective_scan", "selective_scan_2d", "set_default_backend"]
