# Simulated after Augsburg; its test region differs from its training region.
_base_ = "windows.py"

source = dict(type="simulated", kind="augsburg-like", height=128, width=256, seed=0)
split = dict(type="official")
modalities = ("hsi", "sar")
in_channels = dict(hsi=180, sar=4)
num_classes = 7
window = 16

train_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
test_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
