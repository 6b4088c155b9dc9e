"""ExViT on TerraMind: Sentinel-2 alone."""

_base_ = "exvit_terramind.py"

modalities = ("s2",)
in_channels = dict(_delete_=True, s2=12)
train_dataloader = dict(dataset=dict(modalities=modalities))
test_dataloader = dict(dataset=dict(modalities=modalities))
model = dict(in_channels=dict(_delete_=True, s2=12))
