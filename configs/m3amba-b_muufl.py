"""M3amba as in the paper (CLIP) on MUUFL Gulfport (HSI + LiDAR); needs a GPU and CLIP weights."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/muufl.py",
    "_base_/models/m3amba-b.py",
    "_base_/schedules/adamw.py",
]
