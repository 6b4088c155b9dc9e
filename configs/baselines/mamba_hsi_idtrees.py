"""MambaHSI on IDTReeS: HSI + LiDAR canopy height."""

_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/datasets/idtrees.py",
    "../_base_/models/mamba_hsi.py",
    "../_base_/schedules/adamw.py",
]

model = dict(
    in_channels=_base_.in_channels,
    num_classes=_base_.num_classes,
    data_preprocessor=dict(pretreatment=_base_.pretreatment),
)
train_cfg = dict(max_epochs=10)
