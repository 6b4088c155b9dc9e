"""M3amba, size t, on MMLSv2: optical, elevation and thermal inertia of Mars."""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/mmlsv2.py",
    "_base_/models/m3amba-t.py",
    "_base_/schedules/adamw.py",
]

# The setting that tools/leaderboard.py --tune chose on validation pixels (model_cards/tuning.csv).
pretreatment = "shifted"
window = 16
model = dict(embed_dim=64, loss=dict(streams=1.0))
train_dataloader = dict(batch_size=16, dataset=dict(windows_per_epoch=512, balanced=True))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=_base_.epochs)
