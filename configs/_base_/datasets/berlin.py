# Berlin (HSI + SAR), official split: about 2,820 training and 461,851 test pixels.
_base_ = "windows.py"

source = dict(type="berlin")
split = dict(type="official")
modalities = ("hsi", "sar")
in_channels = dict(hsi=244, sar=4)
num_classes = 8
window = 32
pretreatment = dict()  # of the baselines, by modality; those left out are standardised

train_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
test_dataloader = dict(dataset=dict(source=source, split=split, modalities=modalities, window=window))
