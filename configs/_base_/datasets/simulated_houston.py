# The embedded scene: simulated after Houston 2013; its test region differs from its training region.
_base_ = "windows.py"

source = dict(type="simulated", kind="houston-like", height=128, width=256, seed=0)
split = dict(type="official")
modalities = ("hsi", "lidar")
in_channels = dict(hsi=144, lidar=1)
num_classes = 15
window = 16
pretreatment = dict()  # of the baselines, by modality; those left out are standardised

train_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
test_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
