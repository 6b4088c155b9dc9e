"""ExViT (IEEE TGRS 61, 2023): half the paper's width and a third of its depth, for one CPU core."""

_base_ = "../_base_/patch_recipe.py"

model = dict(type="ExViT", patch=7, embed_dim=32, depth=2, heads=4, head_dim=8)
