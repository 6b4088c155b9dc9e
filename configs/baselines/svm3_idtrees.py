"""RBF-SVM on 3 x 3 means, on IDTReeS: HSI + LiDAR canopy height."""

_base_ = ["../_base_/default_runtime.py", "../_base_/datasets/idtrees.py"]

classifier = dict(type="SVM", mean=3, pretreatment=_base_.pretreatment)
