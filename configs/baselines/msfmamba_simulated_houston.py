"""MSFMamba on the simulated scene after Houston 2013: HSI + LiDAR."""

_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/datasets/simulated_houston_patches.py",
    "../_base_/models/msfmamba.py",
    "../_base_/schedules/patch.py",
]

pretreatment = dict(hsi=[dict(type="PCA", components=30)])  # as in the paper
patch = _base_.model.patch
model = dict(
    in_channels=_base_.in_channels,
    num_classes=_base_.num_classes,
    data_preprocessor=dict(pretreatment=pretreatment),
)
train_dataloader = dict(dataset=dict(window=patch))
test_dataloader = dict(dataset=dict(margin=patch // 2))
