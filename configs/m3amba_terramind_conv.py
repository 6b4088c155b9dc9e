"""M3amba, size t, on TerraMind, ablation: tokens of 3 x 3 convolutions, not of a linear map of the bands."""

_base_ = "m3amba_terramind.py"

model = dict(adapter=dict(_delete_=True, type="ConvAdapter"))
