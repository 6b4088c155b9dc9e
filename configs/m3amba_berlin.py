"""M3amba, size t, on Berlin (HSI + SAR), the official split."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/berlin.py",
    "_base_/models/m3amba-t.py",
    "_base_/schedules/adamw.py",
]
