"""M3amba, size t, on TerraMind: Sentinel-2 + Sentinel-1 + elevation."""

_base_ = "m3amba_terramind.py"

source = dict(modalities=("s2", "s1", "dem"))
modalities = ["s2", "s1", "dem"]
