# Trento (HSI + LiDAR), standard split: 819 training and 29,395 test pixels.
_base_ = "windows.py"

source = dict(type="trento")
split = dict(type="official")
modalities = ("hsi", "lidar")
in_channels = dict(hsi=63, lidar=2)
num_classes = 6
window = 32
pretreatment = dict()  # of the baselines, by modality; those left out are standardised

train_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
test_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
