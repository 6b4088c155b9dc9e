"""M3amba, size t, on TerraMind: Sentinel-2 + Sentinel-1 + elevation."""

_base_ = "m3amba_terramind.py"

modalities = ("s2", "s1", "dem")
in_channels = dict(s2=12, s1=2, dem=1)
source = dict(type="terramind", modalities=("s2", "s1", "dem"))
train_dataloader = dict(dataset=dict(source=source, modalities=modalities))
test_dataloader = dict(dataset=dict(source=source, modalities=modalities))
model = dict(in_channels=dict(_delete_=True, s2=12, s1=2, dem=1))
