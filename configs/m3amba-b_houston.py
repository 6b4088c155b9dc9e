"""M3amba as in the paper (CLIP, 70.8 M parameters) on Houston 2013; needs a GPU and CLIP weights."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/houston.py",
    "_base_/models/m3amba-b.py",
    "_base_/schedules/adamw.py",
]
