"""Two-branch CNN (Xu et al. 2018), half as wide as in the paper, for two CPU cores."""

_base_ = "../_base_/patch_recipe.py"

model = dict(type="TwoBranchCNN", patch=11, width=0.5)
