"""The nearest training pixel's class by row and column alone: the leak floor."""

_base_ = "../_base_/pixel_recipe.py"

classifier = dict(_delete_=True, type="Position")
