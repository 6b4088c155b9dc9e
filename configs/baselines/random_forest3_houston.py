"""Random forest on 3 x 3 means, on Houston 2013: HSI + LiDAR."""

_base_ = ["../_base_/default_runtime.py", "../_base_/datasets/houston2013.py"]

classifier = dict(type="RandomForest", mean=3)
