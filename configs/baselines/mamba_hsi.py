"""MambaHSI (arXiv 2501.04944) on the stacked bands of all modalities: half width, two blocks, no pooling."""

_base_ = "../_base_/window_recipe.py"

model = dict(type="MambaHSI", embed_dim=32, depth=2, pooling=False, concatenate=True)
