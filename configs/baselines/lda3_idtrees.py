"""Shrinkage LDA on 3 x 3 means, on IDTReeS: HSI + LiDAR canopy height."""

_base_ = ["../_base_/default_runtime.py", "../_base_/datasets/idtrees.py"]

# The networks' pretreatment, but for the discriminants, which it makes itself (docs/tuning.md).
pretreatment = dict(hsi=_base_.pretreatment["hsi"][:3])
classifier = dict(type="ShrinkageLDA", mean=3, pretreatment=pretreatment)
