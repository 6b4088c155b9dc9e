"""M3amba, size t, on TerraMind: Sentinel-2 + Sentinel-1."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/terramind.py",
    "_base_/models/m3amba-t.py",
    "_base_/schedules/adamw.py",
]

# The setting that tools/leaderboard.py --tune chose on validation pixels (model_cards/tuning.csv).
pretreatment = "standardized"
window = 16
model = dict(embed_dim=48, neck=dict(depth=2), loss=dict(streams=1.0))
train_dataloader = dict(dataset=dict(balanced=False))
default_hooks = dict(averaging=dict(type="EMAHook", momentum=0.02))
optim_wrapper = dict(optimizer=dict(lr=3e-3))
train_cfg = dict(max_epochs=_base_.epochs)
