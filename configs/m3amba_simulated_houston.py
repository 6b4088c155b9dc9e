"""M3amba, size t, on the simulated Houston-like scene: HSI + LiDAR."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/simulated_houston.py",
    "_base_/models/m3amba-t.py",
    "_base_/schedules/adamw.py",
]
