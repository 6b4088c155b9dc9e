# Houston 2013 (HSI + LiDAR), the contest's official split: 2,832 training and 12,197 test pixels.
_base_ = "hyperspectral.py"

source = dict(type="houston2013")
split = dict(type="official")
modalities = ["hsi", "lidar"]
window = 11  # the masks have no guard: as large as the largest patch of the other networks
