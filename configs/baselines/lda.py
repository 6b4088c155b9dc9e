"""Shrinkage LDA."""

_base_ = "../_base_/pixel_recipe.py"

# Without Discriminants, which LDA computes itself, and WindowShift, which needs windows (docs/tuning.md).
classifier = dict(
    type="ShrinkageLDA",
    pretreatment={
        modality: [step for step in steps if step["type"] not in ("Discriminants", "WindowShift")]
        for modality, steps in _base_.pretreatment.items()
    },
)
