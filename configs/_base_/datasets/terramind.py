# TerraMind tiles (real Sentinel-2 + Sentinel-1), blocks of 32 pixels with a guard of half a window.
_base_ = "windows.py"

source = dict(type="terramind", modalities=("s2", "s1"))
split = dict(type="blocks", size=32, guard=8, seed=0)
modalities = ("s2", "s1")
in_channels = dict(s2=12, s1=2)
num_classes = 7
window = 16
# Of every model, by modality; those left out are standardised. Chosen on validation blocks (docs/tuning.md).
pretreatment = dict(s2=[dict(type="Standardize"), dict(type="PCA", components=12)])

train_dataloader = dict(
    # classes as often as they come (docs/tuning.md)
    dataset=dict(source=source, split=split, modalities=modalities, window=window, balanced=False)
)
test_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
