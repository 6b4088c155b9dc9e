"""M3amba, size t, on TerraMind, ablation: the last step's weights, and logits without Posterior."""

_base_ = "m3amba_terramind.py"

model = dict(posterior=None)
custom_hooks = []
