"""M3amba, size t, on TerraMind, ablation: with the consistency term on unlabelled pixels (transductive)."""

_base_ = "m3amba_terramind.py"

model = dict(loss=dict(consistency=0.1))
