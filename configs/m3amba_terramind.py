"""M3amba, size t, on TerraMind: Sentinel-2 + Sentinel-1."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/terramind.py",
    "_base_/models/m3amba-t.py",
    "_base_/schedules/adamw.py",
]

train_cfg = dict(max_epochs=_base_.epochs)
