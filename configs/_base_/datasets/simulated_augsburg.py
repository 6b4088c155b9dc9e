# A scene simulated after Augsburg; its test region differs from its training region.
_base_ = "hyperspectral.py"

source = dict(type="simulated", kind="augsburg-like", height=128, width=256, seed=0)
split = dict(type="official")
modalities = ["hsi", "sar"]
window = 11  # as on the official masks of real scenes, which have no guard
