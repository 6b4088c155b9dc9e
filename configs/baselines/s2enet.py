"""S2ENet (Fang et al. 2022), the paper's size."""

_base_ = "../_base_/patch_recipe.py"

model = dict(type="S2ENet", patch=11)
