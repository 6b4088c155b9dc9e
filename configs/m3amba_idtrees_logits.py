"""M3amba, size t, on IDTReeS, ablation: the last step's weights, and logits without Posterior."""

_base_ = "m3amba_idtrees.py"

model = dict(posterior=None)
custom_hooks = []
