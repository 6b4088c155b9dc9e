"""Shrinkage LDA on 3 x 3 means, on TerraMind: Sentinel-2 + Sentinel-1."""

_base_ = ["../_base_/default_runtime.py", "../_base_/datasets/terramind.py"]

classifier = dict(type="ShrinkageLDA", mean=3, pretreatment=_base_.pretreatment)
