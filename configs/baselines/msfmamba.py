"""MSFMamba (arXiv 2408.14255): a third of the paper's width and one of three modules, for one CPU core."""

_base_ = "../_base_/patch_recipe.py"

model = dict(type="MSFMamba", patch=7, dim=32, depth=1, d_state=8)
# as in the paper, unless the dataset names a pretreatment or does not name its modalities
if _base_.get("modalities") and not _base_.get("pretreatment"):
    spectral = _base_.modalities[0]
    model["data_preprocessor"] = dict(pretreatment={spectral: [dict(type="PCA", components=30)]})
    del spectral
