"""M3amba, size t, on the simulated Augsburg-like scene: HSI + SAR."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/simulated_augsburg.py",
    "_base_/models/m3amba-t.py",
    "_base_/schedules/adamw.py",
]
