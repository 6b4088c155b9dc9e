"""Shrinkage LDA."""

_base_ = "../_base_/pixel_recipe.py"

classifier = dict(type="ShrinkageLDA")
