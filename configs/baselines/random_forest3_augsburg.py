"""Random forest on 3 x 3 means, on Augsburg: HSI + SAR."""

_base_ = ["../_base_/default_runtime.py", "../_base_/datasets/augsburg.py"]

classifier = dict(type="RandomForest", mean=3)
