"""EndNet (Hong et al. 2020) on single pixels, the paper's size."""

_base_ = "../_base_/patch_recipe.py"

model = dict(type="EndNet", patch=1)
train_dataloader = dict(batch_size=256, dataset=dict(windows_per_epoch=15360))
