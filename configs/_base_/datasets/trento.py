# Trento (HSI + LiDAR), standard split: 819 training and 29,395 test pixels.
_base_ = "hyperspectral.py"

source = dict(type="trento")
split = dict(type="official")
modalities = ["hsi", "lidar"]
window = 11  # the masks have no guard: as large as the largest patch of the other networks
