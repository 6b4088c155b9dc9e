# Augsburg (HSI + SAR), official split: 761 training and 77,533 test pixels.
_base_ = "hyperspectral.py"

source = dict(type="augsburg")
split = dict(type="official")
modalities = ["hsi", "sar"]
window = 11  # the masks have no guard: as large as the largest patch of the other networks
