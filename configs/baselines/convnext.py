"""ConvNeXt of mmpretrain (arXiv 2201.03545): two of four stages, no stride in the stem, for small windows."""

_base_ = "../_base_/window_recipe.py"

model = dict(
    type="BackboneClassifier",
    backbone=dict(
        type="mmpretrain.ConvNeXt",
        arch=dict(depths=[2, 2], channels=[48, 96]),
        stem_patch_size=1,
        out_indices=(0, 1),
        gap_before_final_norm=False,
    ),
)
