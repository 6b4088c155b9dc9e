"""M3amba, size t, on MUUFL Gulfport (HSI + LiDAR), blocks with a guard."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/muufl.py",
    "_base_/models/m3amba-t.py",
    "_base_/schedules/adamw.py",
]
