"""M3amba, size s, a recipe for any dataset (``--data``); slow on two CPU cores."""

_base_ = [
    "_base_/default_runtime.py",
    "{{$M3AMBA_DATASET:_base_/datasets/simulated_houston.py}}",
    "_base_/models/m3amba-s.py",
    "_base_/schedules/adamw.py",
]

train_cfg = dict(max_epochs=_base_.get("epochs", 20))
