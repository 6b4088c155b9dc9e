"""MFT on IDTReeS: HSI + LiDAR canopy height."""

_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/datasets/idtrees_patches.py",
    "../_base_/models/mft.py",
    "../_base_/schedules/patch.py",
]

patch = _base_.model.patch
model = dict(
    in_channels=_base_.in_channels,
    num_classes=_base_.num_classes,
    data_preprocessor=dict(pretreatment=_base_.pretreatment),
)
train_dataloader = dict(dataset=dict(window=patch))
test_dataloader = dict(dataset=dict(margin=patch // 2))
