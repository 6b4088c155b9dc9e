# Augsburg (HSI + SAR), official split: 761 training and 77,533 test pixels.
_base_ = "windows.py"

source = dict(type="augsburg")
split = dict(type="official")
modalities = ("hsi", "sar")
in_channels = dict(hsi=180, sar=4)
num_classes = 7
window = 32
pretreatment = dict()  # of the baselines, by modality; those left out are standardised

train_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
test_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
