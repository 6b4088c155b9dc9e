"""Random forest on 3 x 3 means."""

_base_ = "../_base_/pixel_recipe.py"

classifier = dict(type="RandomForest", mean=3)
