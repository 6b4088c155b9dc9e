# Trento (HSI + LiDAR), standard split: 819 training and 29,395 test pixels.
_base_ = "windows.py"

source = dict(type="trento")
split = dict(type="official")
modalities = ["hsi", "lidar"]
window = 32
pretreatment = dict()  # by modality; modalities not listed are standardised
