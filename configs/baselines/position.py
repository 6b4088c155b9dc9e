"""The class of the nearest training pixel by row and column: what leakage alone can reach."""

_base_ = "../_base_/pixel_recipe.py"

classifier = dict(type="Position")
