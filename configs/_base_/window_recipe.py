# A recipe for networks that classify windows, on any dataset (--data).
_base_ = [
    "default_runtime.py",
    "{{$M3AMBA_DATASET:datasets/simulated_houston.py}}",
    "schedules/adamw.py",
]

model = dict(data_preprocessor=dict(type="RasterPreprocessor"))
train_cfg = dict(max_epochs=_base_.get("epochs", 20))
