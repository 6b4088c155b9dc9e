"""S2ENet on Houston 2013 (HSI + LiDAR), the official split."""

_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/datasets/houston2013_patches.py",
    "../_base_/models/s2enet.py",
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
