"""RBF-SVM, on Houston 2013: HSI + LiDAR."""

_base_ = ["../_base_/default_runtime.py", "../_base_/datasets/houston2013.py"]

classifier = dict(type="SVM")
