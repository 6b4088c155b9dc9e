"""M3amba as in the paper (CLIP) on Augsburg (HSI + SAR); needs a GPU and CLIP weights."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/augsburg.py",
    "_base_/models/m3amba-b.py",
    "_base_/schedules/adamw.py",
]
