"""M3amba, size t, on IDTReeS: LiDAR canopy height alone."""

_base_ = "m3amba_idtrees.py"

modalities = ("lidar",)
in_channels = dict(_delete_=True, lidar=1)
train_dataloader = dict(dataset=dict(modalities=modalities))
test_dataloader = dict(dataset=dict(modalities=modalities))
model = dict(
    in_channels=dict(_delete_=True, lidar=1),
    data_preprocessor=dict(pretreatment=dict(_delete_=True)),
    posterior=dict(expert=dict(pretreatment=dict(_delete_=True))),
)
