"""M3amba, size t, on TerraMind, ablation: the paper's tokens, a linear map of each pixel's bands."""

_base_ = "m3amba_terramind.py"

model = dict(adapter=dict(_delete_=True, type="LinearAdapter"))
