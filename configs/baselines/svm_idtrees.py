"""RBF-SVM, on IDTReeS: HSI + LiDAR canopy height."""

_base_ = ["../_base_/default_runtime.py", "../_base_/datasets/idtrees.py"]

classifier = dict(type="SVM", pretreatment=_base_.pretreatment)
