"""MSFMamba (arXiv 2408.14255): a third of the width, one module of three, to train on one CPU core."""

_base_ = "../_base_/patch_recipe.py"

model = dict(type="MSFMamba", patch=7, dim=32, depth=1, d_state=8)
# as in the paper, where the dataset has no pretreatment of its own
if not _base_.pretreatment:
    model["data_preprocessor"] = dict(pretreatment={_base_.modalities[0]: [dict(type="PCA", components=30)]})
