# Berlin (HSI + SAR), official split: about 2,820 training and 461,851 test pixels.
_base_ = "windows.py"

source = dict(type="berlin")
split = dict(type="official")
modalities = ["hsi", "sar"]
window = 32
pretreatment = dict()  # by modality; modalities not listed are standardised
