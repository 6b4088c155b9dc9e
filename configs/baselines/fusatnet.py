"""FusAtNet (Mohla et al. 2020), an eighth as wide as in the paper (38 M parameters), for two CPU cores."""

_base_ = "../_base_/patch_recipe.py"

model = dict(type="FusAtNet", patch=11, width=0.125)
