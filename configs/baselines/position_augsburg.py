"""The nearest training pixel's class, the leak floor, on Augsburg: HSI + SAR."""

_base_ = ["../_base_/default_runtime.py", "../_base_/datasets/augsburg.py"]

classifier = dict(type="Position")
