"""M3amba, size t, on the simulated Houston-like scene; takes under three minutes on two CPU cores."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/simulated_houston.py",
    "_base_/models/m3amba-t.py",
    "_base_/schedules/adamw.py",
]

train_cfg = dict(max_epochs=8)
