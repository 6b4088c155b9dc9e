# Houston 2013 (HSI + LiDAR), the contest's official split: 2,832 training and 12,197 test pixels.
_base_ = "windows.py"

source = dict(type="houston2013")
split = dict(type="official")
modalities = ("hsi", "lidar")
in_channels = dict(hsi=144, lidar=1)
num_classes = 15
window = 32
pretreatment = dict()  # of the baselines, by modality; those left out are standardised

train_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
test_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
