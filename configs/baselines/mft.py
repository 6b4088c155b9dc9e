"""MFT (arXiv 2203.16952), the paper's size."""

_base_ = "../_base_/patch_recipe.py"

model = dict(type="MFT", patch=11)
