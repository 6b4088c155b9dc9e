"""M3amba, size t, on Trento (HSI + LiDAR), the standard split."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/trento.py",
    "_base_/models/m3amba-t.py",
    "_base_/schedules/adamw.py",
]
