"""M3amba, size t, on IDTReeS: HSI + LiDAR canopy height."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/idtrees.py",
    "_base_/models/m3amba-t.py",
    "_base_/schedules/adamw.py",
]

train_cfg = dict(max_epochs=_base_.epochs)
