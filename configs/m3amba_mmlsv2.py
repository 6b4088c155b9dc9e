"""M3amba, size t, on MMLSv2: optical, elevation and thermal inertia of Mars."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/mmlsv2.py",
    "_base_/models/m3amba-t.py",
    "_base_/schedules/adamw.py",
]

train_cfg = dict(max_epochs=_base_.epochs)
