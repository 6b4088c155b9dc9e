"""EndNet on the simulated scene after Augsburg: HSI + SAR."""

_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/datasets/simulated_augsburg_patches.py",
    "../_base_/models/endnet.py",
    "../_base_/schedules/patch.py",
]

patch = _base_.model.patch
model = dict(
    in_channels=_base_.in_channels,
    num_classes=_base_.num_classes,
    data_preprocessor=dict(pretreatment=_base_.pretreatment),
)
train_dataloader = dict(batch_size=256, dataset=dict(window=patch, windows_per_epoch=15360))
test_dataloader = dict(dataset=dict(margin=patch // 2))
