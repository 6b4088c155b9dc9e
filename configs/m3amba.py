"""M3amba, size t, a recipe for any dataset (``--data idtrees``) and for your own (``--data scene.yaml``)."""

_base_ = [
    "_base_/default_runtime.py",
    "{{$M3AMBA_DATASET:_base_/datasets/simulated_houston.py}}",
    "_base_/models/m3amba-t.py",
    "_base_/schedules/adamw.py",
]

train_cfg = dict(max_epochs=_base_.get("epochs", 20))
