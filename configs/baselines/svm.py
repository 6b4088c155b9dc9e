"""RBF-SVM."""

_base_ = "../_base_/pixel_recipe.py"

classifier = dict(type="SVM")
