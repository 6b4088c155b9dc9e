"""MSFMamba (arXiv 2408.14255): a third of the paper's width and one of three modules, for one CPU core."""

_base_ = "../_base_/patch_recipe.py"

model = dict(type="MSFMamba", patch=7, dim=32, depth=1, d_state=8)
if "components" in _base_.get("pretreatments", {}):
    pretreatment = "components"  # as in the paper
