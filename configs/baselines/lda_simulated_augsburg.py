"""Shrinkage LDA, on the simulated Augsburg-like scene: HSI + SAR."""

_base_ = ["../_base_/default_runtime.py", "../_base_/datasets/simulated_augsburg.py"]

classifier = dict(type="ShrinkageLDA")
