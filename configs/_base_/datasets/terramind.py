# TerraMind tiles (real Sentinel-2 + Sentinel-1), blocks of 32 pixels with a guard of half a window.
_base_ = "windows.py"

source = dict(type="terramind", modalities=("s2", "s1"))
# The test part is the same for all seeds; --seed draws validation blocks from the rest.
split = dict(type="blocks", size=32, guard=8, seed=0, val=dict(fraction=0.25, guard=8, seed=0))
modalities = ["s2", "s1"]
window = 16
# By modality; modalities not listed are standardised. Chosen on validation blocks (docs/tuning.md).
pretreatment = dict(s2=[dict(type="Standardize"), dict(type="PCA", components=12)])
posterior = dict(type="Posterior", views=8, smooth=1.0)  # for M3amba and for the ConvNeXt compared with it

train_dataloader = dict(dataset=dict(balanced=False))  # classes at their natural frequency (docs/tuning.md)
