# A recipe for networks that classify the centre of a patch, on any dataset (--data). Training draws patches
# around single pixels; only test pixels are predicted, in tiles. By default 360 steps of 64 patches.
_base_ = [
    "default_runtime.py",
    "{{$M3AMBA_DATASET:datasets/simulated_houston.py}}",
    "schedules/adamw.py",
]

model = dict(data_preprocessor=dict(type="RasterPreprocessor"))
train_dataloader = dict(batch_size=64, dataset=dict(windows_per_epoch=1920))
test_dataloader = dict(batch_size=4, dataset=dict(overlap=0.0, whole_scenes=False))
train_cfg = dict(max_epochs=12)
