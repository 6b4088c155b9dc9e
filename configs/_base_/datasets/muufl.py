# MUUFL Gulfport (HSI + LiDAR). No official split exists: blocks of 32 pixels, 16 pixels of guard.
_base_ = "windows.py"

source = dict(type="muufl")
split = dict(type="blocks", size=32, guard=16, seed=0)
modalities = ("hsi", "lidar")
in_channels = dict(hsi=64, lidar=2)
num_classes = 11
window = 32
pretreatment = dict()  # of the baselines, by modality; those left out are standardised

train_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
test_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
