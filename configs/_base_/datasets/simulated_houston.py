# A scene simulated after Houston 2013; its test region differs from its training region.
_base_ = "hyperspectral.py"

source = dict(type="simulated", kind="houston-like", height=128, width=256, seed=0)
split = dict(type="official")
modalities = ["hsi", "lidar"]
window = 11  # as on the official masks of real scenes, which have no guard
