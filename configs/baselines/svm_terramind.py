"""RBF-SVM, on TerraMind: Sentinel-2 + Sentinel-1."""

_base_ = ["../_base_/default_runtime.py", "../_base_/datasets/terramind.py"]

classifier = dict(type="SVM", pretreatment=_base_.pretreatment)
