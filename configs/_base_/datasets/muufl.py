# MUUFL Gulfport (HSI + LiDAR). No official split exists: blocks of 32 pixels, 16 pixels of guard.
_base_ = "hyperspectral.py"

source = dict(type="muufl")
split = dict(type="blocks", size=32, guard=16, seed=0)
modalities = ["hsi", "lidar"]
window = 32
