"""M3amba, size t, on IDTReeS: HSI + LiDAR canopy height."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/idtrees.py",
    "_base_/models/m3amba-t.py",
    "_base_/schedules/adamw.py",
]

# The setting that tools/leaderboard.py --tune chose on validation pixels (model_cards/tuning.csv).
pretreatment = "log_components"
model = dict(embed_dim=64, neck=dict(depth=2), loss=dict(streams=0.5))
train_dataloader = dict(dataset=dict(balanced=False))
default_hooks = dict(averaging=dict(type="EMAHook", momentum=0.02))
optim_wrapper = dict(optimizer=dict(lr=3e-4))
train_cfg = dict(max_epochs=_base_.epochs)
