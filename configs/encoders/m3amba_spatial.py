"""M3amba, size t, whose prior are Galileo's features of each pixel; a recipe for terramind_galileo."""

_base_ = [
    "../_base_/default_runtime.py",
    "{{$M3AMBA_DATASET:../_base_/datasets/terramind_galileo.py}}",
    "../_base_/models/m3amba-t.py",
    "../_base_/schedules/adamw.py",
]

model = dict(prior=dict(modality="galileo", kind="spatial"))
train_cfg = dict(max_epochs=_base_.get("epochs", 20))
