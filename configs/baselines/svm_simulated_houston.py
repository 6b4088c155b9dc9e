"""RBF-SVM, on the simulated Houston-like scene: HSI + LiDAR."""

_base_ = ["../_base_/default_runtime.py", "../_base_/datasets/simulated_houston.py"]

classifier = dict(type="SVM")
