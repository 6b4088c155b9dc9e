"""ExViT on TerraMind: Sentinel-1 alone."""

_base_ = "exvit_terramind.py"

modalities = ("s1",)
in_channels = dict(_delete_=True, s1=2)
train_dataloader = dict(dataset=dict(modalities=modalities))
test_dataloader = dict(dataset=dict(modalities=modalities))
model = dict(
    in_channels=dict(_delete_=True, s1=2),
    data_preprocessor=dict(pretreatment=dict(_delete_=True)),
)
