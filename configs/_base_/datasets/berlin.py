# Berlin (HSI + SAR), official split: about 2,820 training and 461,851 test pixels.
_base_ = "hyperspectral.py"

source = dict(type="berlin")
split = dict(type="official")
modalities = ["hsi", "sar"]
window = 11  # the masks have no guard: as large as the largest patch of the other networks
