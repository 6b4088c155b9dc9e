# TerraMind tiles (real Sentinel-2 + Sentinel-1), blocks of 32 pixels with a guard of half a window.
_base_ = "windows.py"

source = dict(type="terramind", modalities=("s2", "s1"))
split = dict(type="blocks", size=32, guard=8, seed=0)
modalities = ["s2", "s1"]
window = 16
# By modality; those left out are standardised. Chosen on validation blocks (docs/tuning.md).
pretreatment = dict(s2=[dict(type="Standardize"), dict(type="PCA", components=12)])
posterior = dict(type="Posterior", views=8, smooth=1.0)  # of M3amba and of the ConvNeXt compared with it

train_dataloader = dict(dataset=dict(balanced=False))  # classes as often as they come (docs/tuning.md)
