# TerraMind tiles with elevation, too: Sentinel-2 + Sentinel-1 + elevation, the split of terramind.
_base_ = "terramind.py"

source = dict(modalities=("s2", "s1", "dem"))
modalities = ["s2", "s1", "dem"]
