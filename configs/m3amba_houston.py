"""M3amba, size t, on Houston 2013 (HSI + LiDAR), the official split."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/houston.py",
    "_base_/models/m3amba-t.py",
    "_base_/schedules/adamw.py",
]
