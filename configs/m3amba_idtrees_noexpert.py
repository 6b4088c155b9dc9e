"""M3amba, size t, on IDTReeS, ablation: without the discriminant analysis beside the network."""

_base_ = "m3amba_idtrees.py"

model = dict(posterior=dict(expert=None))
