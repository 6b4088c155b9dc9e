"""SpectralFormer (arXiv 2107.02988), patch-wise, the paper's size; it reads only the first modality."""

_base_ = "../_base_/patch_recipe.py"

model = dict(type="SpectralFormer", patch=7)
