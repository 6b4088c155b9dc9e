# Augsburg (HSI + SAR), official split: 761 training and 77,533 test pixels.
_base_ = "hyperspectral.py"

source = dict(type="augsburg")
split = dict(type="official")
modalities = ["hsi", "sar"]
window = 32
